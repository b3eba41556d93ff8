"""gRPC in and out: bytes to verified to terms to one flow to wire.

gRPC's core takes two settings from the environment only, when it is loaded, so they are made here, before any module
of this package can load it.
"""

import os

# No Python API sets the lowest TLS version. A TLS 1.2 suite that no certificate of ours can serve leaves TLS 1.3, whose
# suites are not subject to this list; `interceptors.tls_13` judges every call besides.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-CHACHA20-POLY1305"

# The core writes lines of its own into our operational log, one for every stranger's failed handshake. An operator who
# asks for them gets them. The variable does not stay: children of this process are asked whether they were told.
_told = "GRPC_VERBOSITY" in os.environ
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc  # noqa: E402, F401

if not _told:
    del os.environ["GRPC_VERBOSITY"]
