"""REDIS_URL, checked before anybody connects. Nothing here repeats a URL: it holds a password."""

from urllib.parse import SplitResult, parse_qs, urlsplit

from pushes.store.connection import connect

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")

# What else redis-py takes is ours to set (time limits, retries) or would change what we read.
OPTIONS = frozenset(
    {
        *("db", "username", "password", "client_name", "health_check_interval"),
        *("ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"),
        *("ssl_check_hostname", "ssl_min_version"),
    }
)


def check_url(url: str) -> str:
    """Return `url` when it can be connected to; raises ValueError otherwise, without a secret."""
    _check_form(url)
    connect(url, timeout_s=1, retries=0).close()
    return url


def _check_form(url: str) -> None:
    """Refuse what redis-py takes and misunderstands.

    redis-py itself takes a database that is no number as 0, and finds out about options later.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        allowed = ", ".join(f"{known}://" for known in SCHEMES)
        raise ValueError(f"it must begin with one of {allowed}")
    try:
        parts = urlsplit(url)
    except ValueError:  # its words may repeat the password
        raise ValueError("its host cannot be read") from None
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        raise ValueError(
            "a '/', '?' or '#' in the user name or password must be written %2F, %3F or %23"
        )
    if scheme == "redis+sentinel":
        _check_sentinel(parts)
    elif scheme == "unix":
        if not parts.path:
            raise ValueError("unix:// needs the path of a socket, as in unix:///run/redis.sock")
    else:
        _check_hosts(parts)
        _check_database(parts.path.removeprefix("/"))
    _check_options(parts)


def _check_sentinel(parts: SplitResult) -> None:
    master, _, database = parts.path.removeprefix("/").partition("/")
    if not master or not parts.netloc.rpartition("@")[2]:
        raise ValueError("redis+sentinel://HOST:PORT,HOST:PORT/MASTER[/DB] names no master")
    if parts.query:
        raise ValueError("redis+sentinel:// takes no options after '?'")
    _check_hosts(parts)
    _check_database(database)


def _check_hosts(parts: SplitResult) -> None:
    hosts = parts.netloc.rpartition("@")[2]
    for host in hosts.split(","):
        try:
            port = urlsplit(f"//{host}").port
        except ValueError:
            port = 0
        if port == 0:
            raise ValueError("the port after HOST: must be a number from 1 to 65535")


def _check_database(text: str) -> None:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("what follows the last '/' must be the number of a database, such as 0")


def _check_options(parts: SplitResult) -> None:
    options = parse_qs(parts.query, keep_blank_values=True)
    if options.keys() - OPTIONS:
        known = ", ".join(sorted(OPTIONS))
        raise ValueError(f"it has an unknown option after '?'; known are {known}")
    _check_database(options.get("db", ["0"])[0])
