"""Straps, with Bluetooth replaced where the system's begins: `BleakScanner` and `BleakClient`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError

from clients.wearable import strap
from clients.wearable.errors import Lost, Malformed, Refused
from clients.wearable.reading import HeartRate
from clients.wearable.strap import HEART_RATE_MEASUREMENT, HEART_RATE_SERVICE, Strap

H10 = BLEDevice("A0:9E:1A:00:00:01", "Polar H10 1A2B3C4D", None)
OTHER_H10 = BLEDevice("A0:9E:1A:00:00:02", "Polar H10 5E6F7A8B", None)
SPEAKER = BLEDevice("00:11:22:33:44:55", "Speaker", None)
SERVICES = {SPEAKER.address: ["0000110b-0000-1000-8000-00805f9b34fb"]}


@dataclass
class Air:
    """What Bluetooth would find, and what becomes of a connection."""

    near: list[BLEDevice] = field(default_factory=list)
    fault: Exception | None = None
    connected: list["FakeClient"] = field(default_factory=list)
    scans: int = 0


class FakeScanner:
    """In place of `BleakScanner`."""

    air: ClassVar[Air]

    @classmethod
    async def discover(
        cls,
        *,
        timeout: float,  # noqa: ASYNC109 (bleak's own)
        return_adv: bool,
        service_uuids: list[str],
    ) -> dict[str, tuple[BLEDevice, AdvertisementData]]:
        assert return_adv
        assert service_uuids == [HEART_RATE_SERVICE]
        assert timeout > 1
        cls.air.scans += 1
        if cls.air.fault is not None:
            raise cls.air.fault
        return {device.address: (device, _advertised(device)) for device in cls.air.near}

    @classmethod
    async def find_device_by_address(cls, address: str, *, timeout: float) -> BLEDevice | None:  # noqa: ASYNC109 (bleak's own)
        assert timeout > 1
        return next((device for device in cls.air.near if device.address == address), None)


class FakeClient:
    """In place of `BleakClient`: a test plays the strap with `say` and `vanish`."""

    air: ClassVar[Air]

    def __init__(self, device: BLEDevice, disconnected_callback: Callable[[Any], None]) -> None:
        self.device = device
        self.open = False
        self.vanish: Callable[[], None] = lambda: disconnected_callback(self)

    async def __aenter__(self) -> Self:
        if self.air.fault is not None:
            raise self.air.fault
        self.open = True
        self.air.connected.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open = False

    async def start_notify(self, characteristic: str, callback: Callable[[Any, bytearray], None]) -> None:
        assert characteristic == HEART_RATE_MEASUREMENT
        self.say: Callable[[str], None] = lambda packet: callback(None, bytearray.fromhex(packet))


def _advertised(device: BLEDevice) -> AdvertisementData:
    services = SERVICES.get(device.address, [HEART_RATE_SERVICE])
    return AdvertisementData(device.name, {}, {}, services, None, -60, ())


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> Air:
    """Bluetooth with an H10 and a loudspeaker near."""
    found = Air([SPEAKER, H10])
    FakeScanner.air = FakeClient.air = found
    monkeypatch.setattr(strap, "BleakScanner", FakeScanner)
    monkeypatch.setattr(strap, "BleakClient", FakeClient)
    return found


async def test_the_only_strap_in_reach_is_taken_and_heard(air: Air) -> None:
    source = Strap()
    async with source.open() as packets:
        client = air.connected[0]
        client.say("16 48 55 03")
        assert await anext(packets) == HeartRate(72, (853 * 1000 / 1024,), True)
        client.say("16")
        assert isinstance(await anext(packets), Malformed)
    assert source.name == "Polar H10 1A2B3C4D"
    assert not client.open


async def test_a_broken_connection_is_lost_after_what_was_still_heard(air: Air) -> None:
    async with Strap().open() as packets:
        air.connected[0].say("00 48")
        air.connected[0].vanish()
        assert await anext(packets) == HeartRate(72)
        with pytest.raises(Lost, match="the connection broke"):
            await anext(packets)


async def test_a_strap_that_is_connected_and_silent_is_lost(air: Air, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strap, "SILENT_SECONDS", 0.0)
    async with Strap().open() as packets:
        assert air.connected
        with pytest.raises(Lost, match="connected, and silent"):
            await anext(packets)


async def test_of_several_straps_none_is_taken(air: Air) -> None:
    air.near.append(OTHER_H10)
    with pytest.raises(Refused, match=r"several straps.*1A2B3C4D.*5E6F7A8B.*--device") as refusal:
        async with Strap().open():
            pass
    assert "Speaker" not in str(refusal.value)
    assert not air.connected


@pytest.mark.parametrize("wanted", ["5e6f7a8b", "Polar H10 5E6F7A8B", "a0:9e:1a:00:00:02"])
async def test_of_several_straps_the_named_one_is_taken(air: Air, wanted: str) -> None:
    air.near.append(OTHER_H10)
    async with Strap(wanted).open():
        assert air.connected[0].device is OTHER_H10


async def test_once_found_it_is_the_only_one_that_is_taken_again(air: Air) -> None:
    source = Strap()
    async with source.open():
        pass
    air.near[:] = [OTHER_H10]
    with pytest.raises(Lost, match="out of reach"):
        async with source.open():
            pass
    air.near.append(H10)
    async with source.open():
        assert air.connected[-1].device is H10
    assert air.scans == 1


async def test_no_strap_in_reach_may_change(air: Air) -> None:
    air.near.remove(H10)
    with pytest.raises(Lost, match="not to be found"):
        async with Strap().open():
            pass


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            BleakBluetoothNotAvailableError("No powered adapters", BleakBluetoothNotAvailableReason.POWERED_OFF),
            "Bluetooth is off, missing or not allowed",
        ),
        (BleakError("device disconnected"), "device disconnected"),
        (TimeoutError(), "no answer"),
        (FileNotFoundError(2, "No such file or directory"), "Bluetooth service does not answer: No such file"),
        (EOFError(), "Bluetooth service does not answer: EOFError"),
    ],
)
async def test_what_bluetooth_raises_is_lost_in_a_sentence(air: Air, fault: Exception, said: str) -> None:
    air.fault = fault
    with pytest.raises(Lost, match=said):
        async with Strap().open():
            pass
