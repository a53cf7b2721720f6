"""What of a push URL a shop's plugin gets: its path and query, without our token. Pure."""

from urllib.parse import quote, unquote_to_bytes

# The push URLs of plugins have two hundred characters. What is longer is not kept.
MAX_CHARS = 1024

_TOKEN = b"token"

# What may stand in a path, and in a query, as it is. Source: RFC 3986, 3.3 and 3.4.
_IN_PATH = "/:@!$&'()*+,;=~"
_IN_QUERY = "%/?:@!$&'()*+,;=~"


def forwarded_part(path: str, query: bytes, token: str | None) -> str | None:
    """Return path and query as a plugin is to get them; None when that is not possible.

    `path` is decoded, `query` is not. It is not possible when they are too long, or when the path
    would lead elsewhere than it says.
    """
    if not _leads_where_it_says(path):
        return None
    kept = [part for part in query.split(b"&") if part and not _is_token(part, token)]
    found = f"{quote(path, safe=_IN_PATH)}?{quote(b'&'.join(kept), safe=_IN_QUERY)}"
    return found if len(found) <= MAX_CHARS else None


def _leads_where_it_says(path: str) -> bool:
    segments = path.rstrip("/").split("/")
    return not path or ("\\" not in path and not {"", ".", ".."}.intersection(segments))


def _is_token(part: bytes, token: str | None) -> bool:
    name, _, value = (unquote_to_bytes(word.replace(b"+", b" ")) for word in part.partition(b"="))
    return token is not None and name == _TOKEN and value == token.encode()
