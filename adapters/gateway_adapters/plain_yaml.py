"""YAML of the plain kind: text, lists and maps. Nothing that refers, is tagged, or stands twice."""

from __future__ import annotations

from typing import Any, Final

import yaml

from gateway.errors import InputRefused

BYTES_MAX: Final = 64 << 10
DEPTH_MAX: Final = 8


def read(data: bytes, what: str) -> Any:  # noqa: ANN401 (text, or lists and maps of it)
    """The file's content; every scalar is text. `what` names the file in words.

    Raises:
        InputRefused: not YAML, not UTF-8, or more of it than this.
    """
    if len(data) > BYTES_MAX:
        raise InputRefused(f"{what} has more than {BYTES_MAX >> 10} KiB", code="FILE_SIZE")
    try:
        text = data.decode("utf-8")
        depth = 0
        # Before anything is built: neither references, which could grow without end, nor depth, nor other types.
        for token in yaml.scan(text, Loader=_Loader):
            if isinstance(token, (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken, yaml.DirectiveToken)):
                raise InputRefused("anchors and tags are not taken", line=token.start_mark.line + 1, code="YAML")
            depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
            if depth > DEPTH_MAX:
                raise InputRefused("is nested too deeply", line=token.start_mark.line + 1, code="YAML")
        return yaml.load(text, Loader=_Loader)  # (a subclass of BaseLoader: text, lists and maps only)
    except UnicodeDecodeError:
        raise InputRefused(f"{what} is not UTF-8", code="ENCODING") from None
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        raise InputRefused(f"{what} is not YAML", line=mark.line + 1 if mark else None, code="YAML") from None


class _Loader(yaml.BaseLoader):
    """Text, lists and maps; a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
            raise yaml.YAMLError
        return super().construct_mapping(node, deep)


_OPENS = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken,
          yaml.BlockMappingStartToken)  # fmt: skip
_CLOSES = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
