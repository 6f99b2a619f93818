import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.books import UsageQuery, UsageRow
from voxgate.errors import PeerError
from voxgate.services.usage import LARGEST_PAGE, PAGE, UsageReports, parse_moment, parse_query, shown

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def row(number: int, **changes: object) -> UsageRow:
    values: dict[str, object] = {
        "id": f"use_{number}",
        "org_name": "acme",
        "key_id": "key_1",
        "request_id": f"req_{number}",
        "surface": "speech",
        "units": {"audio_ms": 1000},
        "amount": 83_333,
        "at": AT + timedelta(seconds=number),
    }
    return UsageRow(**(values | changes))  # type: ignore[arg-type]


class FakeUsage:
    """Rows in a list, oldest first."""

    def __init__(self, rows: Sequence[UsageRow]) -> None:
        self.rows = list(rows)

    async def page(
        self, query: UsageQuery, *, limit: int, after: str | None = None, oldest_first: bool = False
    ) -> Sequence[UsageRow] | None:
        rows = self.rows if oldest_first else self.rows[::-1]
        if after is None:
            return rows[:limit]
        found = [number for number, each in enumerate(rows) if each.id == after]
        return rows[found[0] + 1 :][:limit] if found else None


def test_a_query_without_parameters_is_the_first_page_of_everything() -> None:
    assert parse_query({}, org_id="org_1") == (UsageQuery(org_id="org_1"), PAGE, None)


def test_every_parameter_is_read() -> None:
    given_ = {
        "request_id": "req_1",
        "from": "2026-11-21",
        "to": "2026-11-22T01:00:00+02:00",
        "after": "use_1",
        "limit": "7",
    }
    query, limit, after = parse_query(given_, org_id="org_1")
    assert (limit, after, query.request_id) == (7, "use_1", "req_1")
    assert query.since == datetime(2026, 11, 21, tzinfo=UTC)
    assert query.until == datetime(2026, 11, 21, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", str(LARGEST_PAGE + 1)),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "٣"),
        ("limit", "1" * 5000),
        ("from", "yesterday"),
        ("from", ""),
        ("from", "2026-02-30"),
        ("to", "2026-11-21T10:00:00 02:00"),
        ("to", "0001-01-01T00:00:00+14:00"),
        ("request_id", ""),
        ("request_id", "a b"),
        ("after", "x" * 129),
        ("before", "use_1"),
    ],
)
def test_wrong_values_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(PeerError) as caught:
        parse_query({name: value}, org_id="org_1")
    assert caught.value.param == name


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(PeerError) as caught:
        parse_query({"from": "2026-11-22", "to": "2026-11-21"}, org_id="org_1")
    assert caught.value.param == "to"


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_is_refused(text: str) -> None:
    try:
        assert parse_moment(text, param="from").utcoffset() == timedelta(0)
    except PeerError as error:
        assert error.param == "from"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-14, 14))
def test_moments_survive_being_written(moment: datetime, hours: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert parse_moment(local.isoformat(), param="to") == local


async def test_a_page_says_whether_there_is_more() -> None:
    reports = UsageReports(FakeUsage([row(number) for number in range(3)]))
    rows, more = await reports.page(UsageQuery(), 2, None)
    assert ([each.id for each in rows], more) == (["use_2", "use_1"], True)
    rows, more = await reports.page(UsageQuery(), 2, "use_1")
    assert ([each.id for each in rows], more) == (["use_0"], False)
    rows, more = await reports.page(UsageQuery(), 3, None)
    assert (len(rows), more) == (3, False)


async def test_a_page_behind_nothing_is_refused() -> None:
    with pytest.raises(PeerError) as caught:
        await UsageReports(FakeUsage([])).page(UsageQuery(), 2, "use_1")
    assert caught.value.param == "after"


async def test_an_export_holds_every_row_once_oldest_first() -> None:
    rows = [row(number) for number in range(2 * LARGEST_PAGE + 3)]
    rows[1] = row(1, org_name='acme, "ltd"\nnext', units={"completion_tokens": 2, "prompt_tokens": 40})
    text = "".join([lines async for lines in UsageReports(FakeUsage(rows)).csv(UsageQuery())])
    table = list(csv.DictReader(io.StringIO(text)))
    assert [line["id"] for line in table] == [each.id for each in rows]
    assert table[0] == {
        "at": "2026-11-21T09:30:00+00:00",
        "org": "acme",
        "key": "key_1",
        "request_id": "req_0",
        "surface": "speech",
        "units": "audio_ms=1000",
        "credits": "0.083333",
        "id": "use_0",
    }
    assert (table[1]["org"], table[1]["units"]) == ('acme, "ltd"\nnext', "completion_tokens=2 prompt_tokens=40")


async def test_an_empty_export_has_its_headings() -> None:
    assert [lines async for lines in UsageReports(FakeUsage([])).csv(UsageQuery())] == [
        "at,org,key,request_id,surface,units,credits,id\n"
    ]


def test_a_row_on_the_wire() -> None:
    assert shown(row(1)) == {
        "id": "use_1",
        "request_id": "req_1",
        "surface": "speech",
        "units": {"audio_ms": 1000},
        "credits": "0.083333",
        "at": "2026-11-21T09:30:01Z",
    }
