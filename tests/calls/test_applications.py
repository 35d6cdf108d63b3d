"""Which application answers an inbound call."""

from __future__ import annotations

from calls.kit import BY, START
from mixminus.calls.applications import Directory
from mixminus.calls.commands import Callback
from mixminus.settings import Number, Settings
from mixminus.store.lists import Found, Page
from mixminus.store.rows import ApplicationRow, EndpointRow, NumberRow

URL = "https://app.test/"
FIRST_PAGE = Page()


class Rows:
    def __init__(self) -> None:
        self.apps: dict[str, ApplicationRow] = {}
        self.numbers: dict[str, NumberRow] = {}
        self.endpoints: dict[str, EndpointRow] = {}

    async def application(self, app_id: str) -> ApplicationRow | None:
        return self.apps.get(app_id)

    async def applications(
        self, account: str, *, sub_account: str | None = None, app_name: str = "", page: Page = FIRST_PAGE
    ) -> Found[ApplicationRow]:
        return Found(tuple(self.apps.values()), len(self.apps))

    async def number(self, digits: str) -> NumberRow | None:
        return self.numbers.get(digits)

    async def endpoint_by_username(self, username: str) -> EndpointRow | None:
        return self.endpoints.get(username)


def app(app_id: str, **columns: object) -> ApplicationRow:
    return ApplicationRow(
        id=app_id,
        account=BY.account,
        app_name=app_id,
        created_at=START,
        **{"answer_url": URL + app_id, **columns},  # type: ignore[arg-type]
    )


def directory(rows: Rows, default: str = "") -> Directory:
    number = Number(number="+15550001", answer_url=URL + "toml", answer_method="GET", hangup_url="")
    return Directory(rows, Settings(number=(number,), default_answer_url=default), BY.account)


async def answers(book: Directory, called: str, caller: str | None = None) -> str | None:
    found = await book.destination(caller, called)
    return found.answer.url if found else None


async def test_a_number_answers_as_the_settings_say_until_it_is_bound() -> None:
    rows = Rows()
    book = directory(rows)
    found = await book.destination(None, "15550001")
    assert found is not None
    assert (found.answer, found.hangup) == (Callback(URL + "toml", "GET"), Callback(URL + "toml", "POST"))
    rows.numbers["15550001"] = NumberRow(id="15550001", account=BY.account, app_id="7")
    assert await answers(book, "+15550001") == URL + "toml", "bound to an application that is gone"
    rows.apps["7"] = app("7")
    assert await answers(book, "+15550001") == URL + "7"
    rows.numbers["15550001"] = NumberRow(id="15550001", account=BY.account)
    assert await answers(book, "+15550001") == URL + "toml"


async def test_endpoints_and_applications_by_their_names() -> None:
    rows = Rows()
    rows.apps |= {"7": app("7"), "8": app("8")}
    rows.endpoints["bob"] = EndpointRow(
        id="1", account=BY.account, username="bob", password="x", app_id="8", created_at=START
    )
    book = directory(rows)
    assert await answers(book, "7") == URL + "7"
    assert await answers(book, "bob") == URL + "8"
    assert await answers(book, "7", caller="bob") == URL + "8", "a proven endpoint's own application comes first"


async def test_the_default_and_nobody() -> None:
    rows = Rows()
    assert await answers(directory(rows), "999") is None
    rows.apps["7"] = app("7", default_number_app=True)
    assert await answers(directory(rows), "999") == URL + "7"
    assert await answers(directory(rows, URL + "all"), "999") == URL + "all"
