"""The pages of dead letters: found, understood, mended, sent again, dropped; without script."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.log.feed import LogAway
from tests.worklist.test_my_work import page, words
from tests.worklist.test_retrying import OPERATOR, STEWARD, discharge, letter_of, without_visit
from tests.worklist.world import WAIT_S, Browser, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

PURPOSE = "mending the feed of GEN"
HL7 = (
    "MSH|^~\\&|ADT1|GEN|CARE|CARE|20261006140200-0400||ADT^A03^ADT_A03|GEN-{n}|P|2.5.1\r"
    "EVN|A03|{at}\r"
    "PID|1||MRN{n}^^^GEN^MR||Sorrel^Ines\r"
    "PV1|1|I|4W|||||||||||||||||||||||||||||||||01|||||||||{at}\r"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("letters"), patients=1) as made:
        yield made


async def followed(browser: Browser, response: Any) -> str:
    """The text of the page that a form leads to."""
    assert response.status_code == 303, response.text
    return words(await browser.get(response.headers["location"]))


async def until_ended(browser: Browser, path: str) -> Any:
    """The page of a job, once that has ended: shown anew, as by hand."""
    end = time.monotonic() + WAIT_S
    while "Stop" in words(told := await browser.get(path)):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
    assert "It failed" not in words(told)
    return told


def typed_of(told: Any) -> str:
    """What stands in the field of the message."""
    found = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', told.text, re.DOTALL)
    assert found is not None
    return found[1].replace("&#34;", '"').replace("&amp;", "&")


async def test_a_steward_mends_a_message_and_sends_it(shared: World) -> None:
    """Opened for a purpose, the place of the fault marked; what followed is told, and the original,
    the edit and the editor are kept."""
    broken = without_visit(31)
    letter = await letter_of(shared, broken)
    path = f"/dead-letters/{letter['id']}"
    async with shared.browser(STEWARD) as steward:
        assert "Edit and retry" not in words(await steward.get(path))
        opened = await steward.post(f"{path}/raw", purpose=PURPOSE)
        assert "/data/visit_number ▲ Wrong nothing stands here" in words(opened)
        assert orjson.loads(typed_of(opened)) == broken
        still = await steward.post(f"{path}/mend", text=typed_of(opened), purpose=PURPOSE)
        assert still.status_code == 200
        assert "Refused again: It does not say of which visit." in words(still)
        assert orjson.loads(typed_of(still)) == broken
        mended = orjson.dumps(discharge(31)).decode()
        done = await followed(steward, await steward.post(f"{path}/mend", text=mended))
        assert re.search(r"Accepted: \d+ tasks changed\.", done)
        assert re.search(rf"Tries 2 State Sent again .* by {STEWARD}", done)
        assert re.search(rf"Mended .* by {STEWARD} , \d+ bytes", done)
        # As long as what could be done with it: nothing.
        for button in ("Retry", "Drop it", "Send this instead"):
            assert button not in done
        edit = re.search(r'href="(/dead-letters/[^"]+)">[^<]* by ', (await steward.get(path)).text)
        assert edit is not None
        raw = await steward.post(f"{edit[1]}/raw", purpose=PURPOSE)
        assert "V31" in words(raw)
        assert "Edit and retry" not in words(raw)
    record = [one for one in shared.audit() if one["action"] == "retry"][-1]
    assert (record["outcome"], record["purpose"]) == ("success", None)
    assert f"dead-letter/{letter['id']}" in record["objects"]


async def test_an_operator_sends_again_without_seeing_a_byte(shared: World) -> None:
    """As it is; what is still wrong stays and counts the try."""
    letter = await letter_of(shared, without_visit(33))
    path = f"/dead-letters/{letter['id']}"
    async with shared.browser(OPERATOR) as operator:
        told = await followed(operator, await operator.post(f"{path}/retry"))
        assert "Refused again: It does not say of which visit." in told
        assert "Tries 1 State Waiting" in told
        assert "hidden for your role; a data steward may open it" in told
        for name in ("raw", "mend", "discard"):
            refused = await operator.post(f"{path}/{name}", purpose=PURPOSE, text="{}", reason="no")
            assert refused.status_code == 403, name
    assert (await shared.get(f"/ops{path}", OPERATOR))["tries"] == 1


async def test_a_letter_is_dropped_with_a_reason_and_can_still_be_read(shared: World) -> None:
    """Without one it is asked for; afterwards it stands among the dropped, with who and why."""
    letter = await letter_of(shared, without_visit(35))
    path = f"/dead-letters/{letter['id']}"
    async with shared.browser(STEWARD) as steward:
        asked = await steward.post(f"{path}/discard", reason=" ")
        assert asked.status_code == 422
        # Its address, asked for again, leads to the letter and drops nothing.
        led = await steward.get(f"{path}/discard")
        assert (led.status_code, led.headers["location"]) == (303, path)
        assert "There is a problem Say why it is dropped." in words(asked)
        done = await followed(
            steward, await steward.post(f"{path}/discard", reason="a test of GEN")
        )
        assert re.search(rf"State Dropped .* by {STEWARD}: a test of GEN", done)
        again = await steward.post(f"{path}/retry")
        assert again.status_code == 409
        assert "It was dropped at" in words(again)
    waiting = (await page(shared, "/dead-letters", OPERATOR)).text
    dropped = await page(shared, "/dead-letters?status=discarded", OPERATOR)
    assert letter["id"] not in waiting
    assert letter["id"] in dropped.text
    assert "a test of GEN" in words(dropped)
    assert not [one for one in shared.audit() if one["outcome"] == "success" and one[
        "action"] == "retry" and f"dead-letter/{letter['id']}" in one["objects"]]  # fmt: skip


async def test_all_of_one_reason_first_dry_then_sent(shared: World) -> None:
    """What would become of them, then what did; each with its result; nothing is sent before."""
    soon = written(RealClock().now() + 24 * HOUR + 2_000_000)
    good = [await letter_of(shared, discharge(n, time=soon)) for n in (37, 39)]
    never = await letter_of(shared, discharge(41, time=written(RealClock().now() + 99 * HOUR)))
    end = time.monotonic() + WAIT_S
    async with shared.browser(OPERATOR) as operator:
        listed = await operator.get("/dead-letters?reason=bad-time")
        assert "Retry all 3 with this reason" in words(listed)
        while True:  # their time comes
            begun = await operator.post("/dead-letters/retry", reason="bad-time")
            job = begun.headers["location"]
            dry = await until_ended(operator, job)
            if "2 would be accepted, 1 not." in words(dry):
                break
            assert time.monotonic() < end, words(dry)
            await asyncio.sleep(0.2)
        assert job.endswith("?reason=bad-time")
        assert "1 A time that cannot be used bad-time" in words(dry)
        assert "Nothing was sent." in words(dry)
        assert f"{never['id']} would be refused: A time that cannot be used." in words(dry)
        for letter in (*good, never):
            found = await shared.get(f"/ops/dead-letters/{letter['id']}", OPERATOR)
            assert (found["status"], found["tries"]) == ("open", 0)
        begun = await operator.post("/dead-letters/retry", reason="bad-time", do="send")
        done = words(await until_ended(operator, begun.headers["location"]))
        assert "2 accepted, 1 refused." in done
        for letter in good:
            # It happens tomorrow: what follows from it follows then.
            assert f"{letter['id']} Accepted: no task changed." in done
        # Whoever did not start it is not told.
    async with shared.browser(STEWARD) as other:
        assert (await other.get(job)).status_code == 404


async def test_the_filters_narrow_both_the_list_and_what_is_sent(shared: World) -> None:
    """Feed and age; what no filter knows is refused, as it would widen what is sent."""
    letter = await letter_of(shared, without_visit(43))
    async with shared.browser(OPERATOR) as operator:
        of_gen = await operator.get("/dead-letters?facility=GEN&since=1h")
        of_mid = await operator.get("/dead-letters?facility=MID&since=1h")
        assert letter["id"] in of_gen.text
        assert letter["id"] not in of_mid.text
        assert "No dead letter matches these filters." in words(of_mid)
        begun = await operator.post("/dead-letters/retry", facility="MID", since="1h")
        assert begun.headers["location"].endswith("?facility=MID&since=1h")
        told = words(await until_ended(operator, begun.headers["location"]))
        assert "No letter waits there any more." in told
        for wrong in ("since=9h", "reason=Bad", "status=gone", "feed=GEN"):
            assert (await operator.get(f"/dead-letters?{wrong}")).status_code in (400, 422), wrong
        assert (await operator.post("/dead-letters/retry", since="9h")).status_code == 400


async def test_while_the_log_is_away_no_word_is_lost(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody made of a message stands in the form again; tried again, it is taken."""
    letter = await letter_of(shared, without_visit(47))
    path = f"/dead-letters/{letter['id']}"
    sender, real = shared.site.sender, shared.site.sender.send

    async def away(topic: str, key: str | None, value: bytes, headers: Any = None) -> None:
        if topic != "care.audit.v1":
            raise LogAway
        await real(topic, key, value, headers)

    mended = orjson.dumps(discharge(47)).decode()
    async with shared.browser(STEWARD) as steward:
        with monkeypatch.context() as patched:
            patched.setattr(sender, "send", away)
            lost = await steward.post(f"{path}/mend", text=mended, purpose=PURPOSE)
        assert lost.status_code == 503
        assert "Could not save: the log is unavailable. Nothing was lost; try again." in words(lost)
        assert typed_of(lost) == mended
        done = await followed(steward, await steward.post(f"{path}/mend", text=typed_of(lost)))
    assert re.search(r"Accepted: \d+ tasks changed\.", done)


async def test_an_hl7_message_survives_the_form(shared: World) -> None:
    """Its segments end with CR, which no browser sends: a mended message is read like the first."""
    at = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(time.time() - 3600))
    broken = HL7.format(n=45, at=at)
    with Log.open(shared.folder) as log:
        where = {"reason": "missing-visit", "stage": "publish", "error": "no visit in PV1-19"}
        partition, offset = log.append("care.dead-letter.v1", None, broken.encode(), where)
    name = f"care.dead-letter.v1-{partition}-{offset}"
    path = f"/dead-letters/{name}"
    listed = "/ops/dead-letters?reason=missing-visit&limit=500"
    await shared.until(
        listed, lambda found: any(one["id"] == name for one in found["items"]), OPERATOR
    )
    async with shared.browser(STEWARD) as steward:
        opened = await steward.post(f"{path}/raw", purpose=PURPOSE)
        assert "PV1-19 ▲ Wrong nothing stands here" in words(opened)
        mended = typed_of(opened).replace(
            "PV1|1|I|4W||||||||||||||||", "PV1|1|I|4W||||||||||||||||V45"
        )
        lines = mended.replace("\r", "\n").replace("\n", "\r\n")
        done = await followed(steward, await steward.post(f"{path}/mend", text=lines))
    assert "Accepted: 3 tasks changed." in done
    with Log.open(shared.folder) as log:
        letters = [one for p in (0, 1) for one in log.read("care.dead-letter.v1", p, 0, 10_000)]
    mended_to = [one.value or b"" for one in letters if b"V45" in (one.value or b"")]
    assert [(one[:4], b"\n" in one) for one in mended_to] == [(b"MSH|", False)]
