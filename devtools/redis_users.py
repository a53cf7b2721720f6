"""Redis's users, deploy/redis/users.acl, made from the lists of rights: `make map` remakes it.

A file of users can hold no comment, so what is to be known of it stands here and in
docs/operations.md. Where a password belongs stands a word that is no SHA-256: Redis does not start
before each is replaced.
"""

from collections.abc import Iterator

from devtools.code_map import ROOT
from pushes.store.server.rights import Role, acl_rules

FILE = ROOT / "deploy" / "redis" / "users.acl"

# Who else talks to a Redis. What a replica and Sentinel need is in Redis's manual.
_OTHERS = {
    "admin": "~* &* +@all",
    "replica": "resetkeys resetchannels -@all +ping +psync +replconf",
    "sentinel": (
        "resetkeys allchannels -@all +client|kill +client|setname +config|rewrite +exec +info"
        " +multi +ping +publish +replicaof +role +script|kill +slaveof +subscribe"
    ),
}


def users() -> str:
    """Return the file: nobody without a password, and each user with its rights and no other."""
    return "\n".join(["user default reset off", *_with_passwords(), ""])


def _with_passwords() -> Iterator[str]:
    rules = {role.value: f"resetchannels {acl_rules(role)}" for role in Role} | _OTHERS
    for name, allowed in rules.items():
        yield f"user {name} reset on #{name}-password-sha256 {allowed}"


if __name__ == "__main__":
    FILE.write_text(users())
