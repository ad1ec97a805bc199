"""Where messages go in the tree of a conversation: the rules, without a database.

A message has a parent; the *active branch* leads from the root to the head and is what a client loads. Saves add rows
and hang them elsewhere; they remove and rewrite none. A *version* of a message is a row with its id: a client that
edits a message sends the same id with another body, which becomes a new row. An answer that this server wrote has one
body, ours: a client's copy of it differs in details and changes nothing. Only who deletes a message removes rows.

`branch`: the sender means this very history. If its first message is known, that keeps its place (clients may send
only the last few). From there each message is looked up below the one before: the same body, or an answer of ours,
is kept; anything else becomes a new row there, beside what else is there. The head moves to the last message, so a
shorter list moves it back.

`merge`: the sender may not have seen everything, so what is active stays active.
- A message that has a version with this body changes nothing, wherever that is. A new version takes the place of the
  active one and what followed that follows it.
- An unknown message goes behind the end, unless it is an assistant's and follows a message of the active branch that
  the sender named. There it is the answer: it takes the place of the answer that stands there, and what followed
  follows it. So the one thing that a merge ever replaces is an answer, by another answer to the same message.

The answer of a running turn (`put_answer`) goes below the message that it answers. What followed that message on the
active branch, saved while the turn ran, follows the answer now. And since nobody can name an answer that is still
being written, no save leaves it behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.core.conversations import AnswerStatus
from app.storage.drafts import Draft


@dataclass(slots=True)
class Node:
    """A row of the tree."""

    row: int
    id: str
    parent: int | None
    role: str
    fingerprint: bytes
    ours: bool = False
    """The server wrote it, so a client's copy does not count."""
    status: AnswerStatus = "complete"
    draft: Draft | None = None
    """What to write, for a new row."""
    source: int | None = None
    """For a new row: the row of ours whose content it takes instead."""

    @property
    def running(self) -> bool:
        """The answer is still being written."""
        return self.status == "streaming"


class Tree:
    def __init__(self, nodes: Iterable[Node], head: int | None, next_row: int) -> None:
        """`nodes` are all that there are; for `answer`, the beginning of the branch may be missing."""
        self.head = head
        self._old_head = head
        self.added: list[Node] = []
        self.moved: dict[int, int] = {}
        """Row → its new parent, for rows that were there before."""
        self._next_row = next_row
        self._nodes = {node.row: node for node in nodes}
        self._versions: dict[str, list[Node]] = {}
        for node in self._nodes.values():
            self._versions.setdefault(node.id, []).append(node)
        self._follower: dict[int, int | None] = {}
        """The active branch: row → the row behind it, None behind the head."""
        row, follower = head, None
        while row is not None and row in self._nodes:
            self._follower[row] = follower
            row, follower = self._nodes[row].parent, row

    @property
    def changed(self) -> bool:
        return bool(self.added) or self.head != self._old_head

    def active_ids(self) -> tuple[str, ...]:
        """Of the messages from the root to the head, without answers in flight."""
        ids: list[str] = []
        row = self.head
        while row is not None:
            node = self._nodes[row]
            if not node.running:
                ids.append(node.id)
            row = node.parent
        return tuple(reversed(ids))

    def branch(self, drafts: Sequence[Draft]) -> None:
        here = self._beginning(drafts)
        for draft in drafts:
            versions = self._versions.get(draft.id, [])
            places = self._with_running(here)
            beside = [node for node in versions if node.parent in places]
            known = [node for node in beside if _says(node, draft)]
            if known:
                here = self._meant(known, draft).row
            else:
                source = max((node.row for node in versions if node.ours), default=None)
                here = self._add(beside[-1].parent if beside else places[-1], draft, source).row
        self.head = self._with_running(here)[-1]

    def merge(self, drafts: Sequence[Draft]) -> None:
        here: int | None = None
        """The last message of the list on the active branch; None where the one before is not on it."""
        for draft in drafts:
            versions = self._versions.get(draft.id, [])
            known = any(_says(node, draft) for node in versions)
            active = next((node for node in versions if node.row in self._follower), None)
            if active is not None:
                here = active.row if known else self._insert(active.parent, draft, replacing=active.row).row
            elif versions:
                here = None
                if not known:
                    self._add(versions[-1].parent, draft)
            elif draft.role == "assistant" and here is not None:
                here = self._insert(here, draft, replacing=self._answer_to(here)).row
            else:
                here = self._insert(self.head, draft).row

    def answer(self, parent_id: str | None, draft: Draft) -> Node:
        """The row of a running turn's answer, added where there is none yet."""
        written = self._versions.get(draft.id, [])
        if written:
            return max(written, key=lambda node: (node.ours, node.row in self._follower, node.row))
        parents = self._versions.get(parent_id, []) if parent_id is not None else []
        active = [node.row for node in parents if node.row in self._follower]
        if parents and not active:
            return self._add(parents[-1].row, draft)
        return self._insert(max(active) if active else self.head, draft)

    def choose(self, row: int) -> bool:
        """Make `row` active, and below it what leads to the newest leaf. False where there is no such row."""
        if row not in self._nodes:
            return False
        if row not in self._follower:
            self.head = self._newest_leaf(row)
        return True

    def active_row(self, message_id: str) -> int | None:
        """Of the message with this id on the active branch, unless it is still being written."""
        versions = self._versions.get(message_id, [])
        return next((node.row for node in versions if node.row in self._follower and not node.running), None)

    def parent_of(self, row: int) -> int | None:
        return self._nodes[row].parent

    def below(self, row: int) -> list[int]:
        """The row and all below it, whatever their branch."""
        followers = self._followers()
        rows = [row]
        for each in rows:
            rows += followers.get(each, [])
        return rows

    def remove(self, row: int) -> list[int]:
        """Take a row of the active branch out, with all below it; these. The head goes to the version before it, else
        to the one behind it, and there to the newest leaf; without another version it is the row above.
        """
        rows = self.below(row)
        parent = self._nodes[row].parent
        for each in rows:
            del self._nodes[each]
        beside = sorted(node.row for node in self._nodes.values() if node.parent == parent)
        nearest = max((each for each in beside if each < row), default=beside[0] if beside else None)
        self.head = parent if nearest is None else self._newest_leaf(nearest)
        return rows

    def _followers(self) -> dict[int | None, list[int]]:
        followers: dict[int | None, list[int]] = {}
        for node in self._nodes.values():
            followers.setdefault(node.parent, []).append(node.row)
        return followers

    def _newest_leaf(self, row: int) -> int:
        followers = self._followers()
        return max(each for each in self.below(row) if each not in followers)

    def _beginning(self, drafts: Sequence[Draft]) -> int | None:
        """The row below which a list begins: where its first message stands, unless what stands above comes later."""
        first = self._versions.get(drafts[0].id)
        if not first:
            return None
        begin = above = self._meant(first, drafts[0]).parent
        later = {draft.id for draft in drafts}
        while above is not None:
            if self._nodes[above].id in later:
                return None
            above = self._nodes[above].parent
        return begin

    def _meant(self, versions: Sequence[Node], draft: Draft) -> Node:
        """The version with this body, else the active one, else the newest."""
        if len(versions) == 1:
            return versions[0]
        return max(
            versions, key=lambda node: (node.fingerprint == draft.fingerprint, node.row in self._follower, node.row)
        )

    def _add(self, parent: int | None, draft: Draft, source: int | None = None) -> Node:
        node = Node(self._next_row, draft.id, parent, draft.role, draft.fingerprint, draft=draft, source=source)
        if source is not None:
            node.ours, node.status = True, self._nodes[source].status
        self._next_row += 1
        self._nodes[node.row] = node
        self._versions.setdefault(node.id, []).append(node)
        self.added.append(node)
        return node

    def _insert(self, parent: int | None, draft: Draft, *, replacing: int | None = None) -> Node:
        """Add a row to the active branch below `parent`; what followed there follows it, without `replacing`."""
        node = self._add(parent, draft)
        above = replacing if replacing is not None else parent
        behind = self._follower[above] if above is not None else None
        if replacing is not None:
            del self._follower[replacing]
        if parent is not None:
            self._follower[parent] = node.row
        self._follower[node.row] = behind
        if behind is None:
            self.head = node.row
        else:
            self._nodes[behind].parent = node.row
            if self._nodes[behind].draft is None:
                self.moved[behind] = node.row
        return node

    def _answer_to(self, row: int) -> int | None:
        """The answer to `row` on the active branch that another may replace: a whole one, and not of this save."""
        follower = self._follower[row]
        if follower is None:
            return None
        node = self._nodes[follower]
        return follower if node.role == "assistant" and not node.running and node.draft is None else None

    def _with_running(self, row: int | None) -> list[int | None]:
        """The row and the answers in flight that follow it on the active branch."""
        rows = [row]
        while row is not None and (row := self._follower.get(row)) is not None and self._nodes[row].running:
            rows.append(row)
        return rows


def _says(node: Node, draft: Draft) -> bool:
    return node.ours or node.fingerprint == draft.fingerprint
