"""Relays for what people wear: heart beats from a strap, a phone, a recording or a simulation to a session.

They run where the wearable is, on another machine if need be, and know the wire protocol and nothing of musicmed_live.
"""
