"""What readers get of a run: everything once, in order, however many they are, whenever they come and however slow."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from app.chat.live import Run
from app.core.events import MessageStart, Status, StreamError, TextDelta, TextEnd, TextStart
from app.core.messages import UIMessage

pytestmark = pytest.mark.anyio

START = MessageStart("a1", {})
PATIENCE = 10.0


class Letters:
    """An encoder whose bytes tell what they are made of; `b"."` ends them."""

    format = "letters"
    media_type = "text/plain"
    keep_alive = b""

    def __init__(self, fails_at=None):
        self.headers = {}
        self.batches = []
        self.ends = 0
        self._fails_at = fails_at

    def encode(self, events):
        self.batches.append(list(events))
        if any(isinstance(event, TextDelta) and event.delta == self._fails_at for event in events):
            raise ValueError("cannot be said in letters")
        return "".join(event.delta for event in events if isinstance(event, TextDelta)).encode()

    def end(self):
        self.ends += 1
        return b"."


class Client:
    """A reader that notes what it is handed, and by which way."""

    def __init__(self, receiver, *, takes=True):
        self.receiver = receiver
        self.takes = takes
        self.written = []
        self.pieces = []
        self.all = []
        self.offered = 0
        self._offer = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    def write(self, data):
        self.offered += 1
        self._offer.set()
        if self.takes:
            self.written.append(data)
            self.all.append(data)
        return self.takes

    @property
    def got(self):
        return b"".join(self.all)

    async def ended(self):
        async with asyncio.timeout(PATIENCE):
            return await self._reading

    async def has(self, data):
        """Wait until it has been handed that much."""
        async with asyncio.timeout(PATIENCE):
            while self.got != data:
                assert data.startswith(self.got), self.got
                await asyncio.sleep(0)

    async def rests(self):
        """Wait until it lacks nothing and waits for more."""
        while self.receiver._write is None:
            await asyncio.sleep(0)

    async def leave(self):
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self.receiver.close()

    async def _read(self):
        try:
            async for data in self.receiver.pieces(self.write):
                assert data, "an empty piece would be the end of an HTTP body"
                self.pieces.append(data)
                self.all.append(data)
        finally:
            self.receiver.close()


@pytest.fixture
async def current(house):
    """A run whose events the test makes."""
    run = Run("r1", "block", "a1", "u1", None, store=False)
    await house.log.open("r1")
    return run


@pytest.fixture
def say(house):
    """Add events to the log; a text is a delta."""

    async def append(*said):
        house.log.append("r1", [TextDelta("t", event) if isinstance(event, str) else event for event in said])

    return append


@asynccontextmanager
async def reading(house, run, encoder, *, whole=False, takes=True):
    client = Client(house.runs.follow(run, encoder, whole=whole), takes=takes)
    try:
        yield client
    finally:
        await client.leave()


async def test_readers_of_one_format_share_one_encoder(house, current, say):
    first, second = Letters(), Letters()
    async with reading(house, current, first) as one, reading(house, current, second) as other:
        await say(START, TextStart("t"), "a")
        await say("b", "c")
        await say("d", TextEnd("t"))
        await house.log.close("r1")
        await one.ended()
        await other.ended()
    assert one.got == other.got == b"abcd."
    assert len(first.batches) == 3
    assert (first.ends, second.ends) == (1, 0)
    assert [batch for batch in second.batches if batch] == []


async def test_readers_of_two_formats_have_an_encoder_each(house, current, say):
    letters, others = Letters(), Letters()
    others.format = "others"
    async with reading(house, current, letters) as one, reading(house, current, others) as other:
        await say(START, "a")
        await house.log.close("r1")
        await one.ended()
        await other.ended()
    assert one.got == other.got == b"a."
    assert (letters.ends, others.ends) == (1, 1)


async def test_a_late_reader_gets_everything_once(house, current, say):
    async with reading(house, current, Letters()) as early:
        await say(START, TextStart("t"), "a")
        await say("b")
        async with reading(house, current, Letters()) as late:
            await say("c")
            await late.has(b"abc")
            await say("d")
            await house.log.close("r1")
            await late.ended()
        await early.ended()
    assert late.got == early.got == b"abcd."


async def test_a_reader_that_comes_before_anything_was_said_waits_for_it(house, current, say):
    receiver = house.runs.follow(current, Letters())
    beginning = asyncio.ensure_future(receiver.begin())
    await asyncio.sleep(0)
    assert not beginning.done()
    await say(START, "a")
    async with asyncio.timeout(PATIENCE):
        await beginning
    client = Client(receiver)
    await house.log.close("r1")
    await client.ended()
    assert client.got == b"a."


@pytest.mark.parametrize("others", [0, 1])
async def test_who_comes_after_the_end_gets_everything_and_the_end(house, current, say, others):
    """Also where somebody else still reads: `others` are given nothing, so that they are not at their end yet."""
    held = [house.runs.follow(current, Letters()) for _ in range(others)]
    await say(START, TextStart("t"), "a", "b")
    await house.log.close("r1")
    async with reading(house, current, Letters()) as late:
        await late.ended()
    assert late.got == b"ab."
    for receiver in held:
        receiver.close()
    assert house.log.readers("r1") == 0


async def test_who_attaches_to_a_continued_answer_gets_what_it_goes_on_with(house, current, say):
    text = {"type": "text", "text": "before "}
    current.base = UIMessage.model_validate({"id": "a1", "role": "assistant", "parts": [text]})
    shared, own = Letters(), Letters()
    async with reading(house, current, shared) as first:
        await say(START, Status("retrying", "Wait."), TextStart("t"), "a")
        async with reading(house, current, own, whole=True) as attached:
            await say("b")
            await house.log.close("r1")
            await first.ended()
            await attached.ended()
    assert first.got == b"ab."
    assert attached.got == b"before ab."
    assert own.batches[-1] == [TextDelta("t", "b")]
    assert not any(isinstance(event, Status) for batch in own.batches for event in batch)
    assert any(isinstance(event, Status) for batch in shared.batches for event in batch)


async def test_who_attaches_to_a_new_answer_shares_its_encoder(house, current, say):
    shared, own = Letters(), Letters()
    async with reading(house, current, shared) as first:
        await say(START, Status("retrying", "Wait."), TextStart("t"), "a")
        async with reading(house, current, own, whole=True) as attached:
            await say("b")
            await house.log.close("r1")
            await first.ended()
            await attached.ended()
    assert first.got == attached.got == b"ab."
    assert len(own.batches) == 1, "only for what it had missed"
    assert not any(isinstance(event, Status) for event in own.batches[0])


async def test_a_client_that_takes_everything_is_written_to_at_once(house, current, say):
    async with reading(house, current, Letters()) as client:
        await say(START, "a")
        await client.has(b"a")
        await client.rests()
        for letter in "bcd":
            await say(letter)
            assert client.written[-1] == letter.encode(), "within the very call that said it"
        await house.log.close("r1")
        await client.ended()
    assert client.got == b"abcd."


async def test_a_client_that_takes_nothing_at_the_moment_gets_it_at_its_own_pace(house, current, say):
    async with reading(house, current, Letters(), takes=False) as slow:
        for letter in "abcdef":
            await say(*([START] if letter == "a" else []), letter)
        await slow.has(b"abcdef")
        await slow.rests()
        await say("g")
        await say("h")
        assert slow.offered == 1, "who has refused once is not asked again before it has everything"
        await slow.has(b"abcdefgh")
        slow.takes = True
        await slow.rests()
        await say("i")
        await house.log.close("r1")
        await slow.ended()
    assert slow.got == b"abcdefghi."
    assert slow.written == [b"i"]


async def test_a_slow_client_holds_up_nobody(house, current, say):
    async with reading(house, current, Letters()) as quick:
        slow = house.runs.follow(current, Letters())
        await say(START, "a")
        await quick.rests()
        for _ in range(50):
            await say("b")
        assert quick.got == b"a" + 50 * b"b"
        client = Client(slow)
        await house.log.close("r1")
        await client.ended()
        await quick.ended()
    assert client.got == quick.got == b"a" + 50 * b"b" + b"."


async def test_what_has_piled_up_is_handed_over_in_pieces_of_bounded_size(house, current, say):
    receiver = house.runs.follow(current, Letters())
    await say(START)
    for _ in range(20):
        await say("x" * 20_000)
    await house.log.close("r1")
    client = Client(receiver)
    await client.ended()
    assert client.got == 400_000 * b"x" + b"."
    assert max(map(len, client.pieces)) <= 80_000
    assert len(client.pieces) < 10


async def test_batches_that_make_no_bytes_write_nothing(house, current, say):
    encoder = Letters()
    async with reading(house, current, encoder) as client:
        await say(START, TextStart("t"))
        await client.rests()
        await say(TextEnd("t"))
        await say(TextStart("u"))
        await client.rests()
        assert (client.offered, client.pieces, len(encoder.batches)) == (0, [], 3)
        await say("a")
        await house.log.close("r1")
        await client.ended()
    assert client.got == b"a."


async def test_a_reader_that_leaves_is_forgotten_and_the_last_takes_the_channel_with_it(house, current, say):
    async with reading(house, current, Letters()) as staying:
        async with reading(house, current, Letters()) as leaving:
            await say(START, "a")
            await leaving.has(b"a")
        assert house.log.readers("r1") == 1
        assert list(current.channels) == ["letters"]
        await say("b")
        await staying.has(b"ab")
        assert leaving.got == b"a"
    assert house.log.readers("r1") == 0
    assert current.channels == {}
    async with reading(house, current, Letters()) as again:
        await say("c")
        await house.log.close("r1")
        await again.ended()
    assert again.got == b"abc."


async def test_leaving_twice_is_leaving_once(house, current, say):
    gone = house.runs.follow(current, Letters())
    gone.close()
    staying = house.runs.follow(current, Letters())
    gone.close()
    assert list(current.channels) == ["letters"]
    assert house.log.readers("r1") == 1
    staying.close()
    assert house.log.readers("r1") == 0


async def test_a_run_that_fails_before_its_first_word_is_refused_unencoded(house, current, say):
    failure = StreamError("The service is down.", "provider_unavailable", 502)
    encoder, second = Letters(), Letters()
    receiver = house.runs.follow(current, encoder)
    await say(failure)
    await receiver.begin()
    late = house.runs.follow(current, second)
    await house.log.close("r1")
    clients = [Client(receiver), Client(late)]
    for client in clients:
        await client.ended()
        assert client.receiver.channel.refusal == failure
        assert client.got == b""
    assert not any(encoder.batches + second.batches)
    assert (encoder.ends, second.ends) == (0, 0)


async def test_a_failure_after_the_first_word_is_told_as_events_are(house, current, say):
    encoder = Letters()
    async with reading(house, current, encoder) as client:
        await say(START, "a")
        await say(StreamError("It broke off.", "provider_broken", 502))
        await house.log.close("r1")
        await client.ended()
    assert client.receiver.channel.refusal is None
    assert isinstance(encoder.batches[-1][0], StreamError)
    assert client.got == b"a."


async def test_an_encoder_that_raises_fails_its_readers_and_never_the_run(house, current, say):
    broken, sound = Letters(fails_at="b"), Letters()
    sound.format = "sound"
    async with (
        reading(house, current, broken) as one,
        reading(house, current, Letters()) as two,
        reading(house, current, sound) as other,
    ):
        await say(START, "a")
        await say("b")
        await say("c")
        await house.log.close("r1")
        for client in (one, two):
            with pytest.raises(ValueError, match="letters"):
                await client.ended()
            assert client.got == b"a"
        await other.ended()
    assert other.got == b"abc."
    assert house.log.readers("r1") == 0


async def test_with_only_pieces_to_read_nothing_is_lost(house, current, say):
    """As a test client or another server than ours reads, which have no way to write at once."""
    receiver = house.runs.follow(current, Letters())
    pieces = receiver.pieces(None)
    await say(START, "a")
    got = [await anext(pieces)]
    for letter in "bcd":
        waiting = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
        await say(letter)
        got.append(await waiting)
    await house.log.close("r1")
    got += [data async for data in pieces]
    assert got == [b"a", b"b", b"c", b"d", b"."]
    receiver.close()
