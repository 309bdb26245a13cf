"""The Bluetooth characteristic Heart Rate Measurement (0x2A37): bytes to a reading.

Source: Bluetooth SIG, Heart Rate Service 1.0 (2011), section 3.1. Little-endian: flags (1 byte), heart rate (1 or 2),
energy expended in kJ (0 or 2), RR intervals in 1/1024 s (2 each), oldest first.
"""

from clients.wearable.errors import Malformed
from clients.wearable.reading import HeartRate, heart_rate

RATE_IS_16_BIT = 0x01
CONTACT_DETECTED = 0x02
CONTACT_SUPPORTED = 0x04
ENERGY_PRESENT = 0x08
RR_PRESENT = 0x10
RR_PER_SECOND = 1024


def decode(packet: bytes) -> HeartRate:
    """The reading in one notification; raises `Malformed` where bytes are missing or nothing in it is a heart's.

    The contact bit counts only where the sensor says that it can tell. Reserved flags are ignored, and so are bytes
    that no flag announces.
    """
    if not packet:
        raise Malformed("an empty heart rate packet")
    flags = packet[0]
    rate_bytes = 2 if flags & RATE_IS_16_BIT else 1
    rr_at = 1 + rate_bytes + (2 if flags & ENERGY_PRESENT else 0)
    if len(packet) < rr_at:
        raise Malformed(f"a heart rate packet of {len(packet)} bytes ({packet.hex(' ')}); its flags announce {rr_at}")
    bpm = int.from_bytes(packet[1 : 1 + rate_bytes], "little")
    rr_ms = _intervals_ms(packet[rr_at:]) if flags & RR_PRESENT else []
    contact = bool(flags & CONTACT_DETECTED) if flags & CONTACT_SUPPORTED else None
    return heart_rate(bpm, rr_ms, contact)


def _intervals_ms(field: bytes) -> list[float]:
    if len(field) % 2:
        raise Malformed(f"a heart rate packet whose last interval is cut off: {field.hex(' ')}")
    values = (int.from_bytes(field[at : at + 2], "little") for at in range(0, len(field), 2))
    return [value * 1000 / RR_PER_SECOND for value in values]
