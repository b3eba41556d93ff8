"""Mutual TLS 1.3 on both ends of gRPC, and the transport's limits.

How TLS 1.2 is kept out: `gateway/rpc/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import grpc

from gateway.federation.certificates import KeyPair

METADATA_BYTES_MAX: Final = 8_192
HANDSHAKE_MS: Final = 5_000
STREAMS_MAX: Final = 64

Roots = Callable[[], bytes]
Leaf = Callable[[], KeyPair]


def server_credentials(leaf: Leaf, roots: Roots) -> grpc.ServerCredentials:
    """Credentials that follow `leaf` and `roots`: what they give is used from the next handshake on.

    Both are asked once a handshake, so they return kept objects; where nothing changed they return equal ones.
    """
    first = (leaf(), roots())
    state = {"used": first}

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # Runs on gRPC's thread within a handshake: an exception here would end the process's listener.
        try:
            now = (leaf(), roots())
        except Exception:
            return None
        if now == state["used"]:
            return None
        state["used"] = now
        return _configuration(*now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(*first),
        fetch,  # type: ignore[arg-type]  # None means unchanged; the stub does not say so
        require_client_authentication=True,
    )


def _configuration(leaf: KeyPair, roots: bytes) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(leaf.key_pem, leaf.certificate_pem)], roots)


def channel_credentials(leaf: KeyPair, anchor_pem: bytes) -> grpc.ChannelCredentials:
    """Credentials towards one state: its own anchor is the only root, so no other state's authority can name it."""
    return grpc.ssl_channel_credentials(
        root_certificates=anchor_pem, private_key=leaf.key_pem, certificate_chain=leaf.certificate_pem
    )


def anchors(pems: Iterable[bytes]) -> bytes:
    """Several anchors as one PEM text. Which of them may speak for which state is judged on each call, by pin."""
    return b"".join(pem.rstrip(b"\n") + b"\n" for pem in sorted(pems))


def server_options(message_bytes_max: int, *, share_port: bool) -> list[tuple[str, int]]:
    """`share_port` only where several processes of one node answer on one port: otherwise two nodes started on one port
    by mistake would share the calls in silence."""
    return [
        ("grpc.so_reuseport", int(share_port)),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_channelz", 0),
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", STREAMS_MAX),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # A stream that never ends its headers has no timeout of its own: the connection's age bounds it.
        ("grpc.max_connection_age_ms", 1_800_000),
        ("grpc.max_connection_age_grace_ms", 60_000),
        ("grpc.max_connection_idle_ms", 900_000),
    ]


def channel_options(message_bytes_max: int) -> list[tuple[str, int]]:
    """For channels that are kept open: a peer that comes back is found again within two seconds."""
    return [
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_channelz", 0),
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES_MAX),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # Our own idempotency decides what is sent again, not the transport.
        ("grpc.enable_retries", 0),
    ]
