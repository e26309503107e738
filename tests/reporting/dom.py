"""A page as a tree of elements, read by the standard parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "wbr", "br", "img", "input"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str, css: str = "") -> list[Node]:
        return [n for n in self.walk() if n.tag == tag and (not css or css in n.attributes.get("class", "").split())]

    def one(self, tag: str, css: str = "") -> Node:
        found = self.all(tag, css)
        assert len(found) == 1, f"{len(found)} of <{tag} class={css}>"
        return found[0]

    def by_id(self, name: str) -> Node:
        (found,) = [n for n in self.walk() if n.attributes.get("id") == name]
        return found

    @property
    def text(self) -> str:
        """All text inside, in order, white space folded."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for i, text in enumerate(self.texts):
            yield text
            if i < len(self.children):
                yield from self.children[i]._texts()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root", {}, texts=[""])
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [key for key, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        node = Node(tag, {key: value or "" for key, value in attrs}, texts=[""])
        self.open[-1].children.append(node)
        self.open[-1].texts.append("")
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].texts[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(html: str) -> Node:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.open == [builder.root], f"never closed: {[n.tag for n in builder.open[1:]]}"
    return builder.root


def shape(node: Node) -> list[object]:
    """Elements and attribute names, without texts. The breaks offered inside names are part of the name."""
    children = [shape(c) for c in node.children if c.tag != "wbr"]
    return [node.tag, sorted(node.attributes), children]
