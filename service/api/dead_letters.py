"""Dead letters: what needs somebody, a page at a time, and grouped by cause."""

from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify

from pushes.read import dead_letters, views
from pushes.read.dead_letters import Filter
from pushes.read.search import causes
from pushes.read.search.moments import parse
from service import access, deps
from service.api import gate
from service.api.document import answers, tree
from service.api.schemas import CauseList, DeadLetterPage, DeadLettersQuery, FilterQuery

blueprint = Blueprint("dead_letters", __name__)


@blueprint.get("/dead-letters")
@tree.validate(resp=answers(DeadLetterPage, 404, 422))
def letters(query: DeadLettersQuery) -> Response:
    """List dead letters, the longest dead first, and count all that match."""
    redis, wanted, now = deps.current().ledger.redis, as_filter(query), datetime.now(UTC)
    page = dead_letters.page(redis, wanted, limit=query.limit, cursor=query.cursor)
    return jsonify(
        items=[views.dead_letter(push, now) for push in page.items],
        count=dead_letters.count(redis, wanted),
        next_cursor=page.next_cursor,
    )


@blueprint.get("/causes")
@tree.validate(resp=answers(CauseList, 404, 422))
def by_cause(query: DeadLettersQuery) -> Response:
    """Group dead letters by reason, error code and account; since and until do not count."""
    redis, wanted = deps.current().ledger.redis, as_filter(query)
    page = causes.page(
        redis,
        wanted.takes_cause,
        accounts=wanted.only_accounts,
        limit=query.limit,
        cursor=query.cursor,
    )
    return jsonify(items=[causes.view(group) for group in page.items], next_cursor=page.next_cursor)


def as_filter(asked: FilterQuery) -> Filter:
    """Make the filter that is asked for, within what who asks may see. Raises NotFound."""
    access.check_account(asked.account)
    now = datetime.now(UTC)
    return Filter(
        asked.reason,
        asked.account,
        parse(asked.since, now) if asked.since else None,
        parse(asked.until, now) if asked.until else None,
        asked.code,
        gate.accounts(),
    )
