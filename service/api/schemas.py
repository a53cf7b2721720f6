"""What requests hold and answers look like; the same schemas validate and are in the document.

Answers have the shapes of `pushes.read`'s views, which the terminal's `--json` prints, too.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, StringConstraints

from pushes.access.tokens import TokenView
from pushes.access.users import UserView
from pushes.model import Reason
from pushes.read.audit import AuditView
from pushes.read.lately.quota import AccountAndQuotaView
from pushes.read.lately.series import SeriesView
from pushes.read.overview import StatusView
from pushes.read.runs import RunAction, RunView
from pushes.read.search.causes import CauseView
from pushes.read.search.moments import parse as parse_moment
from pushes.read.views import Brief, DeadLetterView, PushView, StateLineView
from pushes.read.workers.entries import WorkerView
from pushes.store.counted.series import Range

_LONGEST_QUERY = 1000
_LONGEST_CURSOR = 200
_MOST_A_PAGE = 500
_MOST_SELECTED = 10_000
_ACCOUNT = r"^[a-z0-9][a-z0-9-]{0,31}$"
_ORDER_ID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def _check_moment(text: str) -> str:
    parse_moment(text, datetime.now(UTC))
    return text


Account = Annotated[str, StringConstraints(pattern=_ACCOUNT)]
OrderId = Annotated[str, StringConstraints(pattern=_ORDER_ID)]
Moment = Annotated[
    str,
    AfterValidator(_check_moment),
    Field(description="ISO 8601 such as 2026-01-31T08:15:00Z, or an age such as 90m, 24h or 7d"),
]
Why = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    Field(description="the reason; it is kept in the audit"),
]


class ApiModel(BaseModel):
    """What every schema of a request has in common: nothing else is taken."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(ApiModel):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=_MOST_A_PAGE)
    cursor: str | None = Field(
        None, max_length=_LONGEST_CURSOR, description="the next_cursor of the page before"
    )


class OrdersQuery(PageQuery):
    """Which orders: a text, and qualifiers such as state:dead."""

    q: str = Field(
        "",
        max_length=_LONGEST_QUERY,
        description="order id, reference or correlation id; state: reason: account: code: since:"
        " until: narrow it down, or list by themselves",
    )


class FilterQuery(ApiModel):
    """Which dead letters; what is left out means any."""

    reason: Reason | None = None
    account: Account | None = None
    code: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_.-]{1,40}$", description="an error code, or `none`"
    )
    since: Moment | None = None
    until: Moment | None = None


class DeadLettersQuery(PageQuery, FilterQuery):
    """Which dead letters, and which page of them."""


class AccountQuery(PageQuery):
    """Of which account, and which page."""

    account: Account | None = None


class SeriesQuery(ApiModel):
    """How far back."""

    range: Range = Range.HOUR


class Because(ApiModel):
    """Why something is done."""

    why: Why


class PerhapsBecause(ApiModel):
    """Why something is done, if there is something to say."""

    why: Why | None = None


class OrderKey(ApiModel):
    """One order of one account."""

    account: Account
    order_id: OrderId


class RunStart(ApiModel):
    """A bulk run to start: over what a filter matches, or over orders that were selected."""

    action: RunAction = Field(description="replay or discard; a discard is undone by its own call")
    why: Why
    filter: FilterQuery | None = None
    orders: list[OrderKey] | None = Field(None, min_length=1, max_length=_MOST_SELECTED)
    rate_per_s: float | None = Field(None, gt=0, le=1000)
    limit: int | None = Field(None, ge=1)


class Problem(BaseModel):
    """RFC 9457: what is wrong, and what to do."""

    type: str
    title: str
    status: int
    detail: str


class Me(BaseModel):
    """Whose token it is; `accounts` is null for all."""

    name: str
    role: str
    accounts: list[str] | None


class Status(RootModel[StatusView]):
    """How everything is."""


class OneSeries(RootModel[SeriesView]):
    """The last hour, day or week."""


class WorkerList(BaseModel):
    """The workers that are alive."""

    items: list[WorkerView]
    unreadable: list[str]


class OrderPage(BaseModel):
    """Orders; there may be a next page although this one is not full."""

    items: list[StateLineView]
    next_cursor: str | None


class OneOrder(RootModel[PushView]):
    """Everything known about an order."""


class OrderState(RootModel[Brief]):
    """An order, and its state after what was done."""


class DeadLetterPage(BaseModel):
    """Dead letters, the longest dead first, and how many match in all."""

    items: list[DeadLetterView]
    count: int
    next_cursor: str | None


class CauseList(BaseModel):
    """Causes of death, that of the latest death first."""

    items: list[CauseView]
    next_cursor: str | None


class RunList(BaseModel):
    """Bulk runs, the latest first. A page may be short of those that are not yours."""

    items: list[RunView]
    next_cursor: str | None


class OneRun(RootModel[RunView]):
    """A bulk run, how far it is, and what came of its orders."""


class RunPreview(BaseModel):
    """How many dead letters a run would be about, and some of them."""

    count: int
    sample: list[DeadLetterView]


class Accounts(RootModel[dict[str, AccountAndQuotaView]]):
    """The accounts by name."""


class SettingView(BaseModel):
    """One setting; a secret is masked. `problem` says what is wrong with it."""

    name: str
    value: str | None
    is_default: bool
    problem: str | None


class SettingList(BaseModel):
    """What the web process was started with; of push tokens only whether an account has one."""

    items: list[SettingView]
    push_tokens: dict[str, bool]
    faults: list[str]


class UserList(BaseModel):
    """Who may sign in to the console."""

    items: list[UserView]


class TokenList(BaseModel):
    """The tokens of this API."""

    items: list[TokenView]


class AuditPage(BaseModel):
    """What operators did, the latest first; there may be a next page although this is not full."""

    items: list[AuditView]
    next_cursor: str | None
