import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.musicgen.engine import Conditioning
from musicmed_live.musicgen.thread import PROMPT_FRAMES, REMEMBERED_FRAMES, Thread
from tests.musicgen.script_engine import ScriptEngine

PAD = ScriptEngine.config.vocab
BOOKS = ScriptEngine.config.codebooks
FULL = ScriptEngine.window - BOOKS + 1  # frames that fit into a window
LATE = FULL + 900  # a frame in the second window's life


def prompt(value: float = 0.0) -> Conditioning:
    return Conditioning(torch.full((3, 4), value), torch.zeros(3))


def new_thread(seed: int = 7, slots: int = 2) -> tuple[ScriptEngine, Thread]:
    engine = ScriptEngine(slots)
    thread = Thread(engine, (0, 1), seed)
    thread.follow(prompt())
    return engine, thread


def tokens(thread: Thread, frames: int, start: int = 0, lane: int = 0) -> torch.Tensor:
    return thread.codes(lane, start, frames)


def delayed(codes: torch.Tensor, start: int, step: int) -> tuple[int, ...]:
    """The column that has to go into step `step` of a window that begins at frame `start`."""
    frames = [start + step - 1 - book for book in range(BOOKS)]
    return tuple(int(codes[book, frame]) if frame >= start else PAD for book, frame in enumerate(frames))


@pytest.fixture(scope="module")
def straight() -> torch.Tensor:
    """The tokens of a thread that never went back."""
    _, thread = new_thread()
    thread.grow(LATE + 200)
    return tokens(thread, LATE + 200, LATE - REMEMBERED_FRAMES)


def test_what_goes_into_the_decoder_is_the_delay_pattern() -> None:
    engine, thread = new_thread()
    thread.grow(60)
    codes = tokens(thread, 63)
    assert engine.columns[0] == [delayed(codes, 0, step) for step in range(63)]
    assert ((codes[:, :60] >= 0) & (codes[:, :60] < PAD)).all()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_tokens_do_not_depend_on_how_they_are_asked_for(stretches: list[int]) -> None:
    _, whole = new_thread()
    whole.grow(sum(stretches))
    _, bit_by_bit = new_thread()
    for end in range(len(stretches)):
        bit_by_bit.grow(sum(stretches[: end + 1]))
    assert torch.equal(tokens(whole, sum(stretches)), tokens(bit_by_bit, sum(stretches)))


def test_a_thread_goes_on_across_windows_out_of_the_last_ten_seconds() -> None:
    engine, thread = new_thread()
    thread.grow(FULL + 40)
    start = FULL - PROMPT_FRAMES
    codes = thread.codes(0, start, FULL + 40 + BOOKS - 1)
    assert engine.columns[1] == [delayed(codes, 0, step) for step in range(PROMPT_FRAMES + 40 + BOOKS - 1)]
    assert engine.filled == PROMPT_FRAMES + BOOKS - 1, "what was played is run through once, and not drawn again"


def test_the_other_window_is_filled_a_little_at_a_time() -> None:
    engine, thread = new_thread()
    filled = []
    for frames in range(10, FULL + 10, 10):
        before = engine.filled
        thread.grow(frames)
        filled.append(engine.filled - before)
    assert max(filled) < 60


def test_a_thread_without_end_keeps_no_more_than_it_needs() -> None:
    _, thread = new_thread()
    for frames in range(500, 9000, 500):
        thread.grow(frames)
    assert thread._tokens.shape[1] < 5000
    with pytest.raises(ValueError, match="among the 7503 to 8503"):
        thread.rewind(8500 - REMEMBERED_FRAMES - 200)


@pytest.mark.parametrize("frames", [700, FULL - 1, FULL, FULL + 1, FULL + 300, LATE])
@pytest.mark.parametrize("back", [0, 1, 9, 450, 650])
def test_a_rewound_thread_comes_the_same_way_again(frames: int, back: int, straight: torch.Tensor) -> None:
    _, thread = new_thread()
    thread.grow(frames)
    before = thread.codes(0, max(0, frames - REMEMBERED_FRAMES), frames).clone()
    thread.rewind(frames - back)
    thread.grow(frames)
    assert torch.equal(thread.codes(0, max(0, frames - REMEMBERED_FRAMES), frames), before)
    if frames == LATE:
        assert torch.equal(before, straight[:, : before.shape[1]])


def test_a_thread_that_goes_back_to_the_beginning_of_its_window_still_has_ten_seconds_to_go_on_from() -> None:
    engine, thread = new_thread()
    frames = FULL - PROMPT_FRAMES + 1010  # where the window before this one has just been let go
    thread.grow(frames)
    back = frames - 950
    before = thread.codes(0, back - PROMPT_FRAMES, back)
    filled = engine.filled
    thread.rewind(back)
    assert engine.filled - filled == PROMPT_FRAMES
    assert torch.equal(thread.codes(0, back - PROMPT_FRAMES, back), before)
    thread.grow(back + 2000)
    codes = thread.codes(0, back, back + 2000)
    assert ((codes >= 0) & (codes < PAD)).all()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=6))
def test_any_number_of_rewinds_leaves_no_trace(backs: list[int]) -> None:
    _, thread = new_thread()
    thread.grow(FULL + 200)
    before = thread.codes(0, 1000, FULL + 200).clone()
    for back in backs:
        thread.rewind(thread._column - back // len(backs))
        thread.grow(FULL + 200 - back // 2)
    thread.grow(FULL + 200)
    assert torch.equal(thread.codes(0, 1000, FULL + 200), before)


def test_another_prompt_changes_only_what_follows() -> None:
    _, thread = new_thread()
    thread.grow(100)
    before = tokens(thread, 100).clone()
    thread.rewind(60)
    thread.follow(prompt(1.0))
    thread.grow(100)
    assert torch.equal(tokens(thread, 60), before[:, :60])
    assert (tokens(thread, 100)[0, 60:] != before[0, 60:]).any()


def test_seeds_make_the_difference() -> None:
    threads = [new_thread(seed)[1] for seed in (1, 1, 2)]
    for thread in threads:
        thread.grow(20)
    one, again, other = (tokens(thread, 20) for thread in threads)
    assert torch.equal(one, again)
    assert (one == other).float().mean() < 0.2


def test_lanes_share_their_past_and_the_first_goes_on_as_if_alone() -> None:
    _, alone = new_thread()
    alone.grow(FULL + 50)
    _, thread = new_thread(slots=6)
    thread.grow(1000)
    thread.fork((2, 3), 8)
    thread.fork((4, 5), 9)
    thread.grow(FULL + 50)
    lanes = [thread.codes(lane, 900, FULL + 50) for lane in range(3)]
    assert torch.equal(lanes[0], alone.codes(0, 900, FULL + 50))
    assert all(torch.equal(lane[:, :100], lanes[0][:, :100]) for lane in lanes)
    assert (lanes[1][:, 200:] == lanes[2][:, 200:]).float().mean() < 0.2


def test_the_lane_that_is_kept_goes_on() -> None:
    _, thread = new_thread(slots=4)
    thread.grow(50)
    thread.fork((2, 3), 8)
    thread.grow(100)
    chosen = thread.codes(1, 0, 100).clone()
    thread.keep(1)
    thread.grow(120)
    assert torch.equal(tokens(thread, 100), chosen)
