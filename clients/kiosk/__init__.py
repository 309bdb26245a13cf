"""The bedside kiosk: how a machine becomes one, and the browser that it shows."""
