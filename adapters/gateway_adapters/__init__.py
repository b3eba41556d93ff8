"""National sources and published formats, each a reader: `read(bytes, ...) -> records`."""
