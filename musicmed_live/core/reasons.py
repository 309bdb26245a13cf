"""Why the music does what it does: a key that pages have words for in any language, and the English sentence."""

from dataclasses import dataclass

_TIMES = ("never", "once", "twice", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# Sentences to the patient, without a full stop. {mood} is a mood word, {times} how often in words.
SENTENCES = {
    "waiting": "Playing neutrally until you say how you feel",
    "listening": "Going along with your body until you say how you feel",
    "meeting": "Meeting you where you are: {mood}",
    "meeting_near": "Meeting you as near as your therapist allows: {mood}",
    "leading": "Leading on from where we met",
    "followed": "Leading on: you are with the music",
    "following": "Leading on: you are coming along",
    "following_near": "Leading on, as near to you as your therapist allows",
    "new_goal": "Leading on to the new goal: {mood}",
    "led_on": "Leading on: your therapist wishes it",
    "coming": "Waiting here: you are on the way",
    "lingering": "Staying here a little longer before leading on",
    "staying_reported": "Staying here: you reported {mood} {times}",
    "staying_apart": "Staying here: you are not with the music yet",
    "staying_livelier": "Staying here: your body is still livelier than the music",
    "staying_calmer": "Staying here: your body is calmer than the music",
    "held": "Staying here: your therapist holds the music",
    "held_ready": "Staying where it begins: your therapist holds the music",
    "arrived": "Staying here: this is where we were going",
    "arrived_livelier": "Staying here, though your body is still livelier than the music",
    "arrived_calmer": "Staying here, though your body is calmer than the music",
    "going_back_reported": "Going back to where we met: you reported {mood} {times}",
    "going_back_apart": "Going back to where we met: you are not with the music yet",
    "going_back_livelier": "Going back to where we met: your body is still livelier than the music",
    "going_back_calmer": "Going back to where we met: your body is calmer than the music",
    "sent_back": "Going back to where we met: your therapist wishes it",
    "back": "Going on from where we were: you are there again",
    "calmed": "Going on calmly: say how you feel now",
    "paused": "Paused",
    "rest": "A rest that was planned; the music goes on by itself",
    "landing": "Softer and calm, until you want to go on",
    "ending": "Coming to a gentle end",
    "ended": "The session has ended",
}


@dataclass(frozen=True, slots=True)
class Why:
    """A reason: one of the keys of `SENTENCES`, with what its sentence names. `str()` gives that sentence."""

    key: str
    mood: str | None = None  # a word of `emotion.WORDS`
    times: int | None = None

    def __str__(self) -> str:
        return SENTENCES[self.key].format(mood=self.mood, times=times(self.times or 0))


def times(count: int) -> str:
    """How often, in words: `twice`, `three times`; from thirteen on in figures."""
    number = _TIMES[count] if count < len(_TIMES) else str(count)
    return number if count < 3 else f"{number} times"
