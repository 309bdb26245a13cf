"""A chest strap, an armband or a watch that offers the Bluetooth Heart Rate Service (0x180D)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError, BleakError
from bleak.uuids import normalize_uuid_16

from clients.wearable.backlog import Backlog
from clients.wearable.errors import Lost, Malformed, Refused, sentence, shown
from clients.wearable.heart_rate_measurement import decode
from clients.wearable.relay import Packet

HEART_RATE_SERVICE = normalize_uuid_16(0x180D)
HEART_RATE_MEASUREMENT = normalize_uuid_16(0x2A37)
SCAN_SECONDS = 5.0  # straps advertise about once a second
SILENT_SECONDS = 15.0  # connected, and not a word: a strap speaks each second
PACKETS = 16  # that wait to be decoded


class Strap:
    """The one whose name or address contains `wanted`, or the only one in reach; once found, no other."""

    def __init__(self, wanted: str = "") -> None:
        self.name = wanted or "strap"
        self._wanted = wanted
        self._address: str | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Packet]]:
        """Find it, connect, have it notify."""
        packets: Backlog[bytes] = Backlog(PACKETS)
        try:
            device = await self._find()
            async with BleakClient(device, lambda _: packets.close()) as client:
                await client.start_notify(HEART_RATE_MEASUREMENT, lambda _, packet: _put(packets, packet))
                yield _packets(packets)
        except BleakBluetoothNotAvailableError as fault:
            raise Lost(f"Bluetooth is off, missing or not allowed on this machine: {sentence(fault)}") from fault
        except (BleakError, TimeoutError) as fault:
            raise Lost(sentence(fault)) from fault
        except (OSError, EOFError) as fault:  # of the bus to the system's Bluetooth service
            raise Lost(f"this machine's Bluetooth service does not answer: {sentence(fault)}") from fault

    async def _find(self) -> BLEDevice:
        if self._address is not None:
            known = await BleakScanner.find_device_by_address(self._address, timeout=SCAN_SECONDS)
            if known is None:
                raise Lost("out of reach, or nobody wears it")
            return known
        found = await BleakScanner.discover(timeout=SCAN_SECONDS, return_adv=True, service_uuids=[HEART_RATE_SERVICE])
        straps = [device for device, heard in found.values() if HEART_RATE_SERVICE in heard.service_uuids]
        device = self._choose(straps)
        self._address, self.name = device.address, shown(device.name or device.address, 40)
        return device

    def _choose(self, straps: list[BLEDevice]) -> BLEDevice:
        """Never one of several: the heart of the wrong patient would steer the music."""
        wanted = self._wanted.casefold()
        fitting = [strap for strap in straps if wanted in f"{strap.name} {strap.address}".casefold()]
        if not fitting:
            raise Lost("not to be found; a strap must be worn, moist, and connected to nothing else")
        if len(fitting) > 1:
            names = "; ".join(sorted(shown(f"{strap.name} ({strap.address})", 60) for strap in fitting))
            raise Refused(f"several straps are in reach: {names}. Say which with --device NAME or ADDRESS")
        return fitting[0]


def _put(packets: Backlog[bytes], packet: bytearray) -> None:
    packets.put(bytes(packet))


async def _packets(packets: Backlog[bytes]) -> AsyncIterator[Packet]:
    """Decoded, until the strap is gone or silent: both are `Lost`."""
    while True:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                packet = await anext(packets, None)
        except TimeoutError:
            raise Lost(f"connected, and silent for {SILENT_SECONDS:.0f} s") from None
        if packet is None:
            raise Lost("the connection broke")
        try:
            yield decode(packet)
        except Malformed as fault:
            yield fault
