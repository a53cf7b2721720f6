"""Who may use the console: users, tokens and sessions, in a real Redis."""

from datetime import timedelta

import pytest
from redis import Redis

from pushes.access import sessions, tokens, users
from pushes.access.principals import AccessNameError, Principal, UserRole, check_name
from pushes.access.tokens import TokenExistsError
from pushes.access.users import ConsoleUser, PasswordError, UserExistsError
from pushes.read import audit
from pushes.store import keys
from tests.builders import NOW

PASSWORD = "three words or more"
ANNA = Principal("anna", UserRole.OPERATOR, ("eu",))


def add(redis: Redis, principal: Principal = ANNA, password: str | None = PASSWORD) -> ConsoleUser:
    return users.add(redis, principal, password=password, by="root", now=NOW)


def everything(redis: Redis) -> str:
    """All that is kept of users, tokens and sessions."""
    names = [keys.USERS, keys.TOKENS, keys.TOKENS_USED]
    strings = [redis.get(name) for name in redis.keys(f"{keys.PREFIX}:s*")]
    return repr([redis.hgetall(name) for name in names] + strings + [redis.keys("*")])


def test_it_knows_a_user_by_the_password(redis_client: Redis) -> None:
    assert not users.are_there_any(redis_client)
    anna = add(redis_client)
    assert users.are_there_any(redis_client)
    assert users.authenticate(redis_client, "anna", PASSWORD) == anna
    assert users.authenticate(redis_client, "anna", PASSWORD + "!") is None
    assert users.authenticate(redis_client, "anna", "") is None
    assert users.authenticate(redis_client, "bert", PASSWORD) is None
    assert users.everybody(redis_client) == [anna]
    assert PASSWORD not in everything(redis_client)


def test_it_lets_nobody_in_without_a_password_by_one(redis_client: Redis) -> None:
    add(redis_client, password=None)
    for password in ("", "None", PASSWORD):
        assert users.authenticate(redis_client, "anna", password) is None


def test_it_refuses_short_passwords_and_a_second_user_of_a_name(redis_client: Redis) -> None:
    with pytest.raises(PasswordError, match="the password has 14 characters; use 15 to 1024"):
        add(redis_client, password="x" * 14)
    assert users.everybody(redis_client) == []
    anna = add(redis_client)
    with pytest.raises(UserExistsError):
        add(redis_client, Principal("anna", UserRole.ADMIN))
    assert users.everybody(redis_client) == [anna]


def test_it_leaves_out_a_user_that_cannot_be_read(redis_client: Redis) -> None:
    anna = add(redis_client)
    for name, junk in (("a", "{"), ("b", "[]"), ("c", '{"name": "c"}'), ("d", "\xff")):
        redis_client.hset(keys.USERS, name, junk)
        assert users.find(redis_client, name) is None
    assert users.everybody(redis_client) == [anna]


def test_it_ends_a_session_when_told_to(redis_client: Redis) -> None:
    anna = add(redis_client)
    session = sessions.begin(redis_client, anna)
    assert sessions.find(redis_client, session) == anna
    assert session not in everything(redis_client)
    (name,) = redis_client.keys(f"{keys.PREFIX}:session:*")
    assert 0 < redis_client.ttl(name) <= timedelta(hours=12).total_seconds()
    sessions.end(redis_client, session)
    assert sessions.find(redis_client, session) is None


def test_it_ends_the_sessions_of_a_user_that_is_removed_or_made_anew(redis_client: Redis) -> None:
    session = sessions.begin(redis_client, add(redis_client))
    assert users.remove(redis_client, "anna", by="root")
    assert sessions.find(redis_client, session) is None
    add(redis_client)
    assert sessions.find(redis_client, session) is None
    assert not users.remove(redis_client, "bert", by="root")


def test_it_signs_in_once_by_a_link(redis_client: Redis) -> None:
    anna = add(redis_client, password=None)
    link = sessions.make_link(redis_client, anna)
    assert sessions.peek_link(redis_client, link) == anna
    assert sessions.use_link(redis_client, link) == anna
    assert sessions.use_link(redis_client, link) is None
    assert sessions.peek_link(redis_client, link) is None
    assert sessions.find(redis_client, link) is None


def test_it_keeps_one_signing_secret(redis_client: Redis) -> None:
    secret = sessions.signing_secret(redis_client)
    assert len(secret) >= 43
    assert sessions.signing_secret(redis_client) == secret


def test_it_knows_a_token_until_it_is_revoked(redis_client: Redis) -> None:
    token = tokens.add(redis_client, ANNA, by="root", now=NOW)
    assert token.startswith("kack_")
    assert tokens.authenticate(redis_client, token, NOW) == ANNA
    assert tokens.authenticate(redis_client, token + "x", NOW) is None
    assert tokens.authenticate(redis_client, "", NOW) is None
    assert token not in everything(redis_client)
    with pytest.raises(TokenExistsError):
        tokens.add(redis_client, ANNA, by="root", now=NOW)
    assert tokens.remove(redis_client, "anna", by="root")
    assert tokens.authenticate(redis_client, token, NOW) is None
    assert tokens.everyone(redis_client) == []
    assert not tokens.remove(redis_client, "anna", by="root")


def test_it_notes_the_last_use_of_a_token_once_a_minute(redis_client: Redis) -> None:
    token = tokens.add(redis_client, ANNA, by="root", now=NOW)
    seen = []
    for seconds in (0, 59, 60, 61):
        tokens.authenticate(redis_client, token, NOW + timedelta(seconds=seconds))
        seen.append(tokens.everyone(redis_client)[0].last_used_at)
    later = NOW + timedelta(seconds=60)
    assert seen == [NOW, NOW, later, later]


def test_it_audits_who_has_access(redis_client: Redis) -> None:
    add(redis_client)
    users.remove(redis_client, "anna", by="root")
    tokens.add(redis_client, Principal("wall", UserRole.VIEWER), by="root", now=NOW)
    tokens.remove(redis_client, "wall", by="root")
    lines = [line.entry for line in audit.newest_first(redis_client, limit=9).lines]
    assert [(e.by, e.action, e.account, e.why) for e in lines if e] == [
        ("root", "token remove", None, "wall"),
        ("root", "token add", None, "wall, viewer"),
        ("root", "user remove", None, "anna"),
        ("root", "user add", None, "anna, operator, only eu"),
    ]


def test_a_role_includes_those_before_it() -> None:
    assert [[one.includes(other) for other in UserRole] for one in UserRole] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("name", ["", " ", "-a", "a b", "é", "a" * 65, "<b>", "a\u202eb"])
def test_it_refuses_names_of_a_wrong_shape(name: str) -> None:
    with pytest.raises(AccessNameError):
        check_name(name)
