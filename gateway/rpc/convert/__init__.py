"""Bytes from outside become terms here, or `Malformed`: the one judge of shape."""

from gateway.rpc.convert.peers import Sender

__all__ = ["Sender"]
