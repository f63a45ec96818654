"""The nodes of an OmegaConf tree, looked at without resolving or converting anything."""

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import AnyNode, Container, DictConfig, Node, OmegaConf, ValueNode
from omegaconf._utils import split_key
from omegaconf.grammar_parser import parse

Path = tuple[Any, ...]  # the keys from the root to a node, of the types under which they are kept

_NODE_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}", re.ASCII)


def children(node: Any) -> Iterator[tuple[Any, Node]]:
    content = node.__dict__["_content"] if isinstance(node, Container) else None
    if isinstance(content, dict):
        yield from content.items()
    elif isinstance(content, list):
        yield from enumerate(content)


def find(root: Container, dotted: str) -> tuple[Path, Node] | None:
    """The node that an override of `dotted` would overwrite; None also where an interpolation stands in the way."""
    node: Any = root
    path: list[Any] = []
    for part in split_key(dotted):
        key = _key(node, part)
        if key is None:
            return None
        path.append(key)
        node = node.__dict__["_content"][key]
    return tuple(path), node


def _key(node: Any, part: str) -> Any:
    """`part` as the type that `node` keeps its keys in: 1 or an Enum, not "1"."""
    if isinstance(node, DictConfig) and isinstance(node.__dict__["_content"], dict):
        child = node._get_node(part, validate_access=False)
        return child._key() if isinstance(child, Node) else None
    return {str(key): key for key, _ in children(node)}.get(part)


def at(root: Container, path: Path) -> Any:
    node: Any = root
    for key in path:
        node = node.__dict__["_content"][key]
    return node


def interpolations(root: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """In the order in which OmegaConf.to_container would resolve them."""
    if root._is_interpolation():
        yield path, root
        return
    for key, node in children(root):
        yield from interpolations(node, (*path, key))


def plain(node: Node) -> Any:
    return OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else node._value()


def copy_plain(value: Any) -> Any:
    if type(value) is dict:
        return {key: copy_plain(item) for key, item in value.items()}
    if type(value) is list:
        return [copy_plain(item) for item in value]
    return value


class Reference:
    """An interpolation whose text stays, resolved again and again: parsing it is what costs."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._text = node._value()
        self._tree = parse(self._text)
        match = _NODE_REFERENCE.fullmatch(self._text)
        found = find(node._get_root(), match[1]) if match else None
        self._target = found[0] if found else None
        self._root = node._get_root()

    def value(self) -> Any:
        if self._target is not None and isinstance(self._node, ValueNode):
            target = at(self._root, self._target)
            if isinstance(target, ValueNode) and not target._is_interpolation() and not target._is_missing():
                return self._converted(target._value())
        parent = self._node._get_parent_container()
        assert parent is not None
        node = parent._resolve_interpolation_from_parse_tree(
            parent=parent,
            value=self._node,
            key=self._node._key(),
            parse_tree=self._tree,
            throw_on_resolution_failure=True,
            memo=None,
        )
        assert node is not None
        return plain(node)

    def _converted(self, value: Any) -> Any:
        """As the type of the node that holds the interpolation wants it."""
        if isinstance(self._node, AnyNode):
            return value
        assert isinstance(self._node, ValueNode)
        converted = self._node.validate_and_convert(value)
        return value if type(converted) is type(value) else converted
