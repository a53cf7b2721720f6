"""`klarna-ack user` and `klarna-ack token`."""

from redis import Redis

from pushes.access import sessions, tokens, users
from pushes.access.principals import Principal, UserRole
from tests.builders import NOW
from tests.integration.test_cli_support import NOW_TEXT, answer, at, error, run

PASSWORD = "three words or more"


def test_it_makes_the_first_admin(redis_client: Redis, redis_url: str) -> None:
    assert "klarna-ack user add NAME --role admin" in run(redis_url, "user", "list").stdout
    with at(NOW):
        made = run(
            redis_url,
            *("user", "add", "Anna@example.com", "--role", "admin", "--password-stdin", "--json"),
            stdin=PASSWORD + "\n",
        )
    anna = {
        "name": "anna@example.com",
        "role": "admin",
        "accounts": None,
        "made_at": NOW_TEXT,
        "made_by": "tester",
    }
    assert answer(made) == anna
    assert answer(run(redis_url, "user", "list", "--json")) == {"items": [anna]}
    assert users.authenticate(redis_client, "anna@example.com", PASSWORD)
    listed = run(redis_url, "user", "list").stdout.splitlines()[1].split()
    assert listed == ["anna@example.com", "admin", "all", "password", NOW_TEXT, "tester"]


def test_it_asks_twice_for_a_password_and_never_shows_it(
    redis_client: Redis, redis_url: str
) -> None:
    shown = run(
        redis_url, "user", "add", "anna", "--role", "viewer", stdin=f"{PASSWORD}\n{PASSWORD}\n"
    )
    assert shown.exit_code == 0
    assert PASSWORD not in shown.output
    assert shown.stdout == "anna, viewer may sign in. Sees everything and changes nothing.\n"
    assert users.authenticate(redis_client, "anna", PASSWORD)


def test_it_refuses_what_nobody_can_be(redis_client: Redis, redis_url: str) -> None:
    add = ("user", "add", "anna", "--role", "viewer", "--password-stdin")
    assert "use 15 to 1024" in error(run(redis_url, *add, stdin="short\n"), 2)
    assert "There is no account 'mars'" in error(run(redis_url, *add, "--account", "mars"), 2)
    assert "account 'Ü'" in error(run(redis_url, *add, "--account", "Ü"), 2)
    assert "not both" in error(run(redis_url, *add, "--no-password"), 2)
    assert "name '-x y'" in error(
        run(redis_url, "user", "add", "--role", "viewer", "--no-password", "--", "-x y"), 2
    )
    assert users.everybody(redis_client) == []


def test_it_adds_a_name_once_and_removes_it(redis_client: Redis, redis_url: str) -> None:
    add = ("user", "add", "anna", "--role", "operator", "--account", "default", "--no-password")
    assert run(redis_url, *add).exit_code == 0
    assert "`klarna-ack user remove anna`" in error(run(redis_url, *add), 1)
    (anna,) = users.everybody(redis_client)
    assert anna.principal == Principal("anna", UserRole.OPERATOR, ("default",))
    assert answer(run(redis_url, "user", "remove", "anna", "--json")) == {"name": "anna"}
    assert "There is no user anna" in error(run(redis_url, "user", "remove", "anna"), 1)
    assert users.everybody(redis_client) == []


def test_it_prints_a_link_that_signs_in_once(redis_client: Redis, redis_url: str) -> None:
    assert "There is no user anna" in error(run(redis_url, "user", "link", "anna"), 1)
    run(redis_url, "user", "add", "anna", "--role", "viewer", "--no-password")
    link = run(redis_url, "user", "link", "anna", OPS_URL="https://ops.example.com/").stdout.strip()
    place, _, word = link.rpartition("=")
    assert place == "https://ops.example.com/ops/link?code"
    signed_in = sessions.use_link(redis_client, word)
    assert signed_in
    assert signed_in.principal.name == "anna"
    shown = answer(run(redis_url, "user", "link", "anna", "--json"))
    assert shown["link"].startswith("http://127.0.0.1:8000/ops/link?code=")


def test_it_shows_a_token_once_and_revokes_it(redis_client: Redis, redis_url: str) -> None:
    assert "klarna-ack token add" in run(redis_url, "token", "list").stdout
    with at(NOW):
        made = answer(run(redis_url, "token", "add", "wall", "--role", "viewer", "--json"))
    token = made.pop("token")
    assert made == {"name": "wall", "role": "viewer"}
    assert tokens.authenticate(redis_client, token, NOW) == Principal("wall", UserRole.VIEWER)
    listed = run(redis_url, "token", "list", "--json")
    assert token not in listed.output
    assert answer(listed) == {
        "items": [
            {
                "name": "wall",
                "role": "viewer",
                "accounts": None,
                "made_at": NOW_TEXT,
                "made_by": "tester",
                "last_used_at": NOW_TEXT,
            }
        ]
    }
    assert "wall" in run(redis_url, "token", "list").stdout
    assert "There is a token wall already" in error(
        run(redis_url, "token", "add", "wall", "--role", "admin"), 1
    )
    assert run(redis_url, "token", "remove", "wall").stdout == "The token wall is revoked.\n"
    assert "There is no token wall" in error(run(redis_url, "token", "remove", "wall"), 1)
    assert tokens.authenticate(redis_client, token, NOW) is None


def test_it_prints_a_new_token_alone_on_stdout(redis_url: str) -> None:
    made = run(redis_url, "token", "add", "wall", "--role", "viewer")
    assert made.stdout.startswith("kack_")
    assert made.stdout.count("\n") == 1
    assert "not shown again" in made.stderr
