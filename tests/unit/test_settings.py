from ipaddress import ip_network
from pathlib import Path

import pytest

from pushes.accounts.policies import DEFAULT_POLICIES
from pushes.accounts.settings import CommonToken, OneAccount, read_names
from pushes.settings import ConfigurationError
from service.settings import WebSettings
from service.settings import load as load_web
from worker.settings import WorkerSettings
from worker.settings import load as load_worker

SECRET = "shibboleth"
REDIS = {"REDIS_URL": "redis://localhost"}
KLARNA = {
    "KLARNA_API_URL": "klarna-eu-playground",
    "KLARNA_USERNAME": "K1",
    "KLARNA_PASSWORD": SECRET,
}
WEB = {**REDIS}
WORKER = {**REDIS, **KLARNA}
WHOLE = "cannot be used; it must be a whole number"
API_URL = "it must be a preset such as klarna-eu or klarna-eu-playground, or an http(s) URL"
RATE = "cannot be used; it must be a number of requests a second from 1 to 1000000"
EMPTY = "it is empty; give it a value, or take it away"
TOKEN = "'token' is where the push token stands; take it out"
PARAMETERS = (
    "is no name of a query parameter; give names of letters, digits and '_', with commas in between"
)
DATABASE = "what follows the last '/' must be the number of a database, such as 0"
PORT = "the port after HOST: must be a number from 1 to 65535"
NO_MASTER = "redis+sentinel://HOST:PORT,HOST:PORT/MASTER[/DB] names no master"
BEGIN = "it must begin with one of redis://, rediss://, unix://, redis+sentinel://"
ENCODE = "a '/', '?' or '#' in the user name or password must be written %2F, %3F or %23"
NO_FILE = "cannot be read: No such file or directory"
RANDOM = "`openssl rand -hex 16` prints a good one"
DELAYS = "it must be seconds from 0 to 172800, with commas in between, such as 5,30,300"


def problems(load: object, environment: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environment)  # type: ignore[operator]  # either loader
    assert SECRET not in str(caught.value)
    return str(caught.value).splitlines()


def test_it_names_every_problem_of_a_worker_at_once() -> None:
    environment = {"RETRY_DELAYS_S": "5,x", "WORKER_CONCURRENCY": "0", "KLARNA_PASSWORD": "  "}

    assert problems(load_worker, environment) == [
        "REDIS_URL: is not set; it must be a URL such as redis://HOST:6379/0",
        f"RETRY_DELAYS_S: entry 2 ('x') cannot be used; {DELAYS}",
        f"WORKER_CONCURRENCY: '0' {WHOLE} from 1 to 256",
        f"KLARNA_PASSWORD: {EMPTY}",
        f"KLARNA_API_URL: is not set; {API_URL}",
        "KLARNA_USERNAME: is not set; it must be Klarna's API user name",
    ]


def test_it_names_every_problem_of_every_account_at_once(tmp_path: Path) -> None:
    accounts, missing = tmp_path / "accounts.toml", tmp_path / "missing"
    accounts.write_text(
        f'[accounts.one]\napi_url = "nowhere"\nusername = "u"\npassword = "{SECRET}"\n'
        f'[accounts.two]\napi_url = "kustom"\npassword_file = "{missing}"\nusrname = "u"\n'
        f'[accounts.three]\napi_url = 5\nusername = "{SECRET}:x"\npassword = 5\nrate_per_s = 0\n'
    )

    found = problems(load_worker, {"ACCOUNTS_FILE": str(accounts)})

    assert found[0].startswith("REDIS_URL: is not set")
    assert found[1].startswith("accounts.one.api_url: not an API URL: allowed are")
    assert found[2].startswith("accounts.two.usrname: is no setting of an account; there are ")
    assert found[3:] == [
        f"accounts.two.password: the file of password_file, {missing} {NO_FILE}",
        "accounts.two.username: is not set; it must be Klarna's API user name",
        f"accounts.three.api_url: 5 cannot be used; {API_URL}",
        "accounts.three.username: must not hold a colon: HTTP Basic ends the user name there",
        "accounts.three.password: cannot be used; it must be Klarna's API password",
        f"accounts.three.rate_per_s: 0 {RATE}",
    ]


def test_it_names_every_problem_of_the_web_process_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "accounts.toml"

    assert problems(load_web, {"LOG_LEVEL": "loud", "ACCOUNTS_FILE": str(missing)}) == [
        "REDIS_URL: is not set; it must be a URL such as redis://HOST:6379/0",
        "LOG_LEVEL: 'loud' cannot be used; it must be debug, info, warning or error",
        f"ACCOUNTS_FILE: {missing} {NO_FILE}",
    ]


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("PUSH_TOKEN", "a", f"it has 1 of at least 8 characters; {RANDOM}"),
        ("PUSH_TOKEN", "two words", "must not hold spaces or control characters"),
        ("PUSH_TOKEN", "", EMPTY),
        ("PUSH_TOKEN", " \t", EMPTY),
        (
            "PUSH_ORDER_ID_PARAMS",
            "a b,token",
            f"'a b' {PARAMETERS}",
        ),
        (
            "PUSH_ORDER_ID_PARAMS",
            "sid,token",
            "'token' is where the push token stands; take it out",
        ),
        ("PUSH_ORDER_ID_PARAMS", "", f"'' {PARAMETERS}"),
        ("PROXY_HOPS", "two", f"'two' {WHOLE} from 0 to 10"),
        ("LOG_FORMAT", "x" * 99, f"'{'x' * 59}… cannot be used; it must be json or console"),
    ],
)
def test_it_says_what_is_wrong_in_the_web_process(setting: str, value: str, problem: str) -> None:
    assert problems(load_web, {**WEB, setting: value}) == [f"{setting}: {problem}"]


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("NOT_FOUND_DELAYS_S", "", f"'' cannot be used; {DELAYS}"),
        ("RETRY_DELAYS_S", "5,x,y", f"entry 2 ('x'), entry 3 ('y') cannot be used; {DELAYS}"),
        ("KLARNA_USERNAME", "K1:2", "must not hold a colon: HTTP Basic ends the user name there"),
        ("KLARNA_PASSWORD", "", EMPTY),
        ("KLARNA_RATE_PER_S", "0.5", f"'0.5' {RATE}"),
    ],
)
def test_it_says_what_is_wrong_in_a_worker(setting: str, value: str, problem: str) -> None:
    assert problems(load_worker, {**WORKER, setting: value}) == [f"{setting}: {problem}"]


@pytest.mark.parametrize("model", [WebSettings, WorkerSettings, OneAccount, CommonToken])
def test_it_can_say_what_every_setting_must_be(model: type[WebSettings]) -> None:
    fields = model.model_fields.values()
    assert [field.alias for field in fields if field.alias and not field.description] == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://x", BEGIN),
        ("nope", BEGIN),
        ("redis+sentinel://h1", NO_MASTER),
        ("redis+sentinel:///m", NO_MASTER),
        ("redis+sentinel://h1/m?db=1", "redis+sentinel:// takes no options after '?'"),
        ("redis+sentinel://h1/m/x", DATABASE),
        ("redis+sentinel://h1:x/m", PORT),
        ("redis://localhost/abc", DATABASE),
        ("redis://localhost:70000", PORT),
        ("redis://localhost?retries=3", "it has an unknown option after '?'; known are "),
        ("redis://localhost?health_check_interval=x", "Invalid value for 'health_check_interval'"),
        (f"redis://:{SECRET}/x@localhost", ENCODE),
        (f"redis://:x/{SECRET}@localhost/0", ENCODE),
        (f"redis://:x?{SECRET}@localhost", ENCODE),
        (f"redis://:x#{SECRET}@localhost", ENCODE),
        (f"redis://:[{SECRET}@localhost", "its host cannot be read"),
        (f"redis://:{SECRET}\u2100@localhost", "its host cannot be read"),
        ("unix://", "unix:// needs the path of a socket, as in unix:///run/redis.sock"),
    ],
)
def test_it_refuses_what_is_no_redis_url(url: str, problem: str) -> None:
    (line,) = problems(load_web, {"REDIS_URL": url})
    assert line.startswith(f"REDIS_URL: {problem}")


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/",
        "rediss://user:secret@host:6380/2?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://:secret@h1:26379,h2/mymaster/1",
        "redis+sentinel://[::1]:26379/mymaster",
    ],
)
def test_it_takes_every_kind_of_redis_url(url: str) -> None:
    assert load_web({"REDIS_URL": url}).redis_url == url


def test_it_reads_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"\ufeff{SECRET}\n")
    environment = {**WORKER, "KLARNA_PASSWORD_FILE": str(tmp_path / "password")}

    assert problems(load_worker, environment) == [
        "KLARNA_PASSWORD: is set beside KLARNA_PASSWORD_FILE; take one of them away"
    ]
    del environment["KLARNA_PASSWORD"]
    account = load_worker(environment).accounts["default"]
    assert account.password.get_secret_value() == SECRET
    assert account.api_url == "klarna-eu-playground"


@pytest.mark.parametrize("content", ["", "\n", "\ufeff \n"])
def test_it_takes_no_empty_secret_file_for_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)

    assert problems(load_web, {**WEB, "PUSH_TOKEN_FILE": str(path)}) == [
        "PUSH_TOKEN: the file of PUSH_TOKEN_FILE is empty; give it a value, or take it away"
    ]


def test_it_takes_no_empty_name_of_a_secret_file_for_none() -> None:
    (line,) = problems(load_web, {**WEB, "PUSH_TOKEN_FILE": ""})
    assert line.startswith("PUSH_TOKEN: the file of PUSH_TOKEN_FILE, ")


def test_it_reads_no_secret_of_klarnas_in_the_web_process() -> None:
    environment = {**WEB, "KLARNA_PASSWORD": "", "KLARNA_USERNAME_FILE": "/no/such/file"}
    assert load_web(environment) == load_web(WEB)


def test_it_takes_nothing_else_that_is_empty_for_set() -> None:
    assert load_worker({**WORKER, "ACCOUNTS_FILE": "", "LOG_LEVEL": ""}) == load_worker(WORKER)


def test_it_gives_each_account_its_own_push_token_or_the_common_one(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    (tmp_path / "token").write_text("of a file".replace(" ", "-"))
    accounts.write_text(
        '[accounts.one]\npush_token = "one-s-own"\n[accounts.two]\n'
        f'[accounts.three]\npush_token_file = "{tmp_path / "token"}"\n'
    )

    settings = load_web({**WEB, "ACCOUNTS_FILE": str(accounts), "PUSH_TOKEN": "in-common"})

    tokens = {name: token and token.get_secret_value() for name, token in settings.tokens.items()}
    assert tokens == {"one": "one-s-own", "two": "in-common", "three": "of-a-file"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('push_token = ""', f"push_token: {EMPTY}"),
        ('push_token = "short"', f"push_token: it has 5 of at least 8 characters; {RANDOM}"),
        ("push_token = 12345678", "push_token: cannot be used; it must be a text of 8 characters"),
        ('push_tokn = "12345678"', "push_tokn: is no setting of an account; there are "),
    ],
)
def test_it_leaves_no_account_open_by_a_mistake(tmp_path: Path, line: str, problem: str) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f"[accounts.one]\n{line}\n")

    (found,) = problems(load_web, {**WEB, "ACCOUNTS_FILE": str(accounts)})

    assert found.startswith(f"accounts.one.{problem}")


def test_no_two_accounts_share_a_push_token_of_their_own(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        f'[accounts.one]\npush_token = "{SECRET}"\n[accounts.two]\npush_token = "{SECRET}"\n'
    )

    (found,) = problems(load_web, {**WEB, "ACCOUNTS_FILE": str(accounts)})

    assert found == (
        "accounts.two.push_token: is that of accounts.one, too; give each its own, or both none "
        "and set PUSH_TOKEN"
    )


def test_each_account_has_the_policies_of_its_table_and_else_the_defaults(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    credentials = 'api_url = "kustom"\nusername = "u"\npassword = "p"\n'
    accounts.write_text(
        f"[accounts.one]\n{credentials}acknowledge_pending = false\n"
        'not_needed_states = ["CANCELLED", "CAPTURED"]\npushes_from = ["192.0.2.7"]\n'
        f"[accounts.two]\n{credentials}"
    )
    environment = {"REDIS_URL": WEB["REDIS_URL"], "ACCOUNTS_FILE": str(accounts)}

    read = load_worker(environment).accounts

    assert read["one"].policies.model_dump() == {
        "acknowledge_pending": False,
        "not_needed_states": ("CANCELLED", "CAPTURED"),
        "set_merchant_references": None,
        "hand_over": None,
    }
    assert read["two"].policies == DEFAULT_POLICIES
    assert load_web(environment).pushes_from == {"one": (ip_network("192.0.2.7/32"),)}


def test_the_web_process_knows_whose_pushes_a_plugin_gets_and_not_where(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        '[accounts.one.hand_over]\nstyle = "forward"\nurl_file = "/nowhere"\n'
        '[accounts.two.hand_over]\nstyle = "signed"\n[accounts.three.hand_over]\n'
        '[accounts.four]\nhand_over = "forward"\n'
    )

    settings = load_web({"REDIS_URL": WEB["REDIS_URL"], "ACCOUNTS_FILE": str(accounts)})

    assert settings.forwarded == {"one"}


NO_REFERENCES = (
    "must be a table of merchant_reference1 and merchant_reference2, one of them or both"
)
UNKNOWN_WORD = (
    "merchant_reference1 holds {number}; it may hold {order_id}, {account}, {klarna_reference}"
)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            'acknowledge_pending = "no"',
            "acknowledge_pending: 'no' cannot be used; it must be true or false",
        ),
        (
            'not_needed_states = ["closed"]',
            "not_needed_states: 'closed' is no order status of Klarna's; they look like CANCELLED",
        ),
        (
            'set_merchant_references = "S-1"',
            f"set_merchant_references: {NO_REFERENCES}",
        ),
        (
            'set_merchant_references = { reference1 = "S-1" }',
            f"set_merchant_references: {NO_REFERENCES}",
        ),
        (
            'set_merchant_references = { merchant_reference1 = "S-{number}" }',
            f"set_merchant_references: {UNKNOWN_WORD}",
        ),
        (
            'set_merchant_references = { merchant_reference2 = " " }',
            "set_merchant_references: merchant_reference2 must be a text of 1 to 120 characters",
        ),
        (
            'pushes_from = ["0.0.0.0/0"]',
            "pushes_from: 0.0.0.0/0 is everybody; name the addresses that push",
        ),
    ],
)
def test_it_says_what_is_wrong_with_a_policy(tmp_path: Path, line: str, problem: str) -> None:
    accounts = tmp_path / "accounts.toml"
    credentials = 'api_url = "kustom"\nusername = "u"\npassword = "p"\n'
    accounts.write_text(f"[accounts.one]\n{credentials}{line}\n")
    environment = {"REDIS_URL": WEB["REDIS_URL"], "ACCOUNTS_FILE": str(accounts)}

    assert problems(load_worker, environment) == [f"accounts.one.{problem}"]


def test_it_reads_an_accounts_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text("\ufeff[accounts.one]\n[accounts.two]\n")

    assert read_names({"ACCOUNTS_FILE": str(accounts)}) == ("one", "two")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", " has no [accounts.NAME] table"),
        (b"accounts = 5", " has no [accounts.NAME] table"),
        (b"[accounts]\none = 5", ": [accounts.one] must be a table named with 1 to 32 of a-z, 0-9"),
        (b"[accounts.One]", ": [accounts.One] must be a table named with 1 to 32 of a-z, 0-9"),
        (b"[accounts", " is not TOML: Expected ']'"),
        (b"\xff", " is not UTF-8 text"),
    ],
)
def test_it_says_what_is_wrong_with_the_accounts_file(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_bytes(content)
    environment = {"ACCOUNTS_FILE": str(accounts)}

    for load in (load_web, load_worker):
        (line,) = problems(load, {**REDIS, **environment})
        assert line.startswith(f"ACCOUNTS_FILE: {accounts}{problem}")


def test_it_wants_the_accounts_in_one_place(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[accounts.one]\napi_url = "kustom"\nusername = "u"\npassword = "p"\n')
    environment = {**WORKER, "ACCOUNTS_FILE": str(accounts), "KLARNA_RATE_PER_S": "7"}

    assert problems(load_worker, environment) == [
        f"{name}: is set beside ACCOUNTS_FILE; take one of them away" for name in KLARNA
    ]
    assert load_worker({**environment, **dict.fromkeys(KLARNA, "")}).accounts["one"].rate_per_s == 7


def test_it_never_shows_a_secret() -> None:
    settings = load_web({"REDIS_URL": "redis://:hunter2@localhost", "PUSH_TOKEN": SECRET})

    assert "hunter2" not in repr(settings)
    assert SECRET not in repr(settings)


def test_it_reads_where_the_console_is_reached() -> None:
    read = load_web(
        {
            **WEB,
            "OPS_URL": "https://ops.example.com/",
            "OPS_USER_HEADER": "X-Forwarded-Email",
            "OPS_USER_HEADER_FROM": "10.0.0.7,10.1.0.0/24",
        }
    )
    assert read.ops_url
    assert (read.ops_url.host, read.ops_url.scheme) == ("ops.example.com", "https")
    assert list(map(str, read.user_header_from or ())) == ["10.0.0.7/32", "10.1.0.0/24"]


def test_it_refuses_a_console_that_is_open_or_nowhere() -> None:
    address = "cannot be used; it must be where browsers reach the web process"
    together = "it goes with OPS_USER_HEADER, set both or none"
    for settings, name, problem in (
        ({"OPS_URL": "ops.example.com"}, "OPS_URL", f"'ops.example.com' {address}"),
        ({"OPS_URL": "https://a.example/ops"}, "OPS_URL", "give the address without a path"),
        ({"OPS_USER_HEADER": "X-User"}, "OPS_USER_HEADER_FROM", together),
        ({"OPS_USER_HEADER_FROM": "10.0.0.7"}, "OPS_USER_HEADER_FROM", together),
        ({"OPS_USER_HEADER": "X User"}, "OPS_USER_HEADER", "'X User' is no name of a header"),
        (
            {"OPS_USER_HEADER": "X-User", "OPS_USER_HEADER_FROM": "0.0.0.0/0"},
            "OPS_USER_HEADER_FROM",
            "0.0.0.0/0 is everybody; name the addresses of the proxy",
        ),
    ):
        found = problems(load_web, {**WEB, **settings})
        assert found[0].startswith(f"{name}: {problem}"), found
