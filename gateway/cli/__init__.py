"""The command line: one module a noun, each imported only when it is used (design: what people type and see)."""
