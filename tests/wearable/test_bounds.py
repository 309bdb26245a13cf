"""A relay runs without the server's code, and still knows what the server takes."""

from clients.wearable import mqtt_sink, reading
from musicmed_live.core import messages, readings


def test_a_relay_sends_what_the_server_takes() -> None:
    assert (reading.BPM, reading.RR_MS, reading.MAX_RR) == (readings.BPM, readings.RR_MS, readings.MAX_RR)
    assert mqtt_sink.PATIENT.pattern == messages.PATIENT.pattern
