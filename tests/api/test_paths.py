from __future__ import annotations

import pytest

from mixminus.api.app import OPERATIONS
from mixminus.api.paths import Routes, member_ids, mpc_ref, split_account
from mixminus.calls.commands import MpcRef
from mixminus.errors import InvalidParameter, NotFound, NotImplementedHere, RequestError

ROUTES = Routes(OPERATIONS)


@pytest.mark.parametrize(
    ("rest", "template", "segments"),
    [
        ("MultiPartyCall", "MultiPartyCall", {}),
        ("MultiPartyCall/name_x", "MultiPartyCall/{mpc}", {"mpc": "name_x"}),
        ("MultiPartyCall/name_a/b", "MultiPartyCall/{mpc}", {"mpc": "name_a/b"}),
        ("MultiPartyCall/name_a%2Fb", "MultiPartyCall/{mpc}", {"mpc": "name_a/b"}),
        ("MultiPartyCall/name_a%252Fb", "MultiPartyCall/{mpc}", {"mpc": "name_a%2Fb"}),
        ("MultiPartyCall/name_a%20%C3%A9", "MultiPartyCall/{mpc}", {"mpc": "name_a é"}),
        ("MultiPartyCall/name_a+b", "MultiPartyCall/{mpc}", {"mpc": "name_a+b"}),
        ("MultiPartyCall/name_x/Participant", "MultiPartyCall/{mpc}/Participant", {"mpc": "name_x"}),
        ("MultiPartyCall/name_a/b/Participant", "MultiPartyCall/{mpc}/Participant", {"mpc": "name_a/b"}),
        (
            "MultiPartyCall/name_a/b/Participant/1%2C2",
            "MultiPartyCall/{mpc}/Participant/{member}",
            {"mpc": "name_a/b", "member": "1,2"},
        ),
        ("MultiPartyCall/name_a/Record", "MultiPartyCall/{mpc}/Record", {"mpc": "name_a"}),
        ("MultiPartyCall/name_a/Record/Pause", "MultiPartyCall/{mpc}/Record/Pause", {"mpc": "name_a"}),
        (
            "MultiPartyCall/name_a/Participant/7/Record/Resume",
            "MultiPartyCall/{mpc}/Participant/{member}/Record/Resume",
            {"mpc": "name_a", "member": "7"},
        ),
        (
            "MultiPartyCall/name_Participant/Participant",
            "MultiPartyCall/{mpc}/Participant",
            {"mpc": "name_Participant"},
        ),
        ("Recording/abc", "Recording/{recording_id}", {"recording_id": "abc"}),
        ("Recording/abc.mp3", "Recording/{recording_id}.{format}", {"recording_id": "abc", "format": "mp3"}),
        ("Recording/abc.ogg", "Recording/{recording_id}.{format}", {"recording_id": "abc", "format": "ogg"}),
        ("Recording/abc/Timeline", "Recording/{recording_id}/Timeline", {"recording_id": "abc"}),
    ],
)
def test_paths(rest: str, template: str, segments: dict[str, str]) -> None:
    route, found = ROUTES.find(rest)
    assert (route.template, found) == (template, segments)


def test_paths_that_lead_nowhere() -> None:
    for rest in ("Message", "Lookup/x/y", "", "MultiPartyCall/"):
        with pytest.raises(NotImplementedHere):
            ROUTES.find(rest)
    for rest in ("multipartycall", "Recordings", "x"):
        with pytest.raises(NotFound, match="no such path"):
            ROUTES.find(rest)
    with pytest.raises(RequestError, match="UTF-8"):
        ROUTES.find("MultiPartyCall/name_%ff")


def test_the_account_is_split_off_the_path() -> None:
    assert split_account("/v1/Account/MA1/MultiPartyCall/name_a//") == ("MA1", "MultiPartyCall/name_a/")
    assert split_account("/v1/Account/MA1") == ("MA1", "")
    assert split_account("/v1/account/MA1/x") is None


@pytest.mark.parametrize(
    ("segment", "ref"),
    [
        ("name_x", MpcRef(name="x")),
        ("name_name_x", MpcRef(name="name_x")),
        ("name_uuid_x", MpcRef(name="uuid_x")),
        ("uuid_0-1", MpcRef(uuid="0-1")),
        ("x", MpcRef(either="x")),
        ("Name_x", MpcRef(either="Name_x")),
    ],
)
def test_addressing(segment: str, ref: MpcRef) -> None:
    assert mpc_ref(segment) == ref


@pytest.mark.parametrize("segment", ["name_", "uuid_", "", "name_a\nb", "name_a\x00", "name_" + "x" * 256])
def test_names_that_cannot_be(segment: str) -> None:
    with pytest.raises(InvalidParameter, match="1 to 255 characters"):
        mpc_ref(segment)


def test_members() -> None:
    assert member_ids("all") == member_ids("ALL") == ()
    assert member_ids("1, 2,1") == ("1", "2")
    for segment in ("", "1,", "all,1", "x", "-1", "١"):
        with pytest.raises(NotFound, match="no participant"):
            member_ids(segment)
