# `make play` and `make test` need a network and Python 3.11 or newer, and set up everything else themselves.

PORT ?= 8765
VENV := .venv
KERNEL := $(wildcard musicmed_live/musicgen/kernel/*)
INSTALL := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# Chromium shows the page in the end-to-end tests; PulseAudio is the sound card that they listen to, by way of ALSA for PortAudio;
# mosquitto is the MQTT broker, to which openssl gives a certificate; gcc builds the kernel; PostgreSQL keeps a journal; the kiosk is
# tried under xvfb, and systemd and shellcheck look at what installs it; npm fetches axe-core, where there is none yet.
DEBIAN_PACKAGES := chromium pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins mosquitto openssl gcc libc6-dev postgresql \
	xvfb xauth systemd shellcheck $(if $(shell command -v npm),,npm)

.PHONY: play test clean debian-packages mosquitto

# MQTT=1 starts a broker for it; MQTT=mqtt://user@host:1883 takes that one.
play: $(VENV)/installed $(if $(filter 1,$(MQTT)),mosquitto)
	$(VENV)/bin/musicmed-live play --port $(PORT) $(if $(MQTT),--mqtt $(filter-out 1,$(MQTT)))

test: debian-packages $(VENV)/installed-for-tests
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

debian-packages:
	@scripts/debian-packages $(DEBIAN_PACKAGES) || echo "Going on without them; the tests that need them will fail."

mosquitto:
	@scripts/debian-packages mosquitto

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/made: constraints.txt
	scripts/make-venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml setup.py $(KERNEL)
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed requirements-audiocraft.txt
	$(INSTALL) --editable '.[test,benchmark]'
	$(INSTALL) --no-deps --requirement requirements-audiocraft.txt
	touch $@
