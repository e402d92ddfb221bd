"""Rows to lines: where lines break, and how far each is indented. `columns.py` aligns them afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.format.layout import Body, Branches, Row, Statement, Text
from archdsl.format.pen import INDENT, Line, Pen
from archdsl.format.steps import Step, read_step
from archdsl.format.tokens import spaced


def to_lines(rows: Sequence[Row], limit: int) -> list[Line]:
    """The lines of a whole text, none broken that fits into `limit` columns."""
    printer = _Printer(limit)
    printer.file(rows)
    return printer.lines


class _Printer(Pen):
    """Rows and what is in them: what goes on a line, and what breaks."""

    # ---- rows ----

    def file(self, rows: Sequence[Row]) -> None:
        """Rows at the left edge; a definition of several lines keeps a blank line off what is around it."""
        about = 0  # where the comments begin that stand directly above the next row
        large = False  # whether the row before is a definition of several lines
        for row in rows:
            start = len(self.lines)
            self._new_line(0, row.blank)
            if not row.statements:
                self._put(row.comment)
                if row.blank or large:
                    about = start
                    self.lines[start].blank = start > 0
                large = False
                continue
            about = start if row.blank or large else about
            self._row(row, in_branch=False)
            is_large = len(self.lines) > start + 1 and row.statements[0].word in ("block", "arch")
            if (is_large or large) and about > 0:
                self.lines[about].blank = True
            large = is_large
            about = len(self.lines)

    def _rows(self, rows: Sequence[Row], indent: int, in_branch: bool) -> None:
        """All rows; the pen stands where the first begins."""
        for index, row in enumerate(rows):
            if index:
                self._new_line(indent, row.blank)
            if row.statements:
                self._row(row, in_branch)
            else:
                self._put(row.comment)

    def _row(self, row: Row, in_branch: bool) -> None:
        """Statements, as many on a line as fit; one that takes several lines stands alone."""
        indent = self.line.indent + len(self.line.text) if in_branch else self.line.indent
        aligned = not in_branch and not self.line.text
        together: list[Statement] = []  # on the line being written
        for index, statement in enumerate(row.statements):
            flat = self._flat(statement)
            if together and (flat is None or len(flat) + 2 > self.room):
                self._finish(together, aligned)
                self._new_line(indent)
                together = []
            elif index and not together:
                self._new_line(indent)
            if flat is None or len(flat) > self.room:
                self._broken(statement, indent, aligned)
                together = []
            else:
                self._put(f"; {flat}" if together else flat)
                together.append(statement)
        self._finish(together, aligned)
        self.line.comment = row.comment

    def _finish(self, together: Sequence[Statement], aligned: bool) -> None:
        """Say of a line of whole statements what in it may be aligned."""
        if not aligned or not together or together[-1].verbatim is not None:
            return
        last = together[-1].pieces[-1]
        if not isinstance(last, Text):
            return
        self._tail(read_step(last.tokens, spaced(last.tokens)))
        steps = []
        for statement in together:
            if len(statement.pieces) > 1 or statement.verbatim is not None:
                return
            only = statement.pieces[0]
            step = read_step(only.tokens, spaced(only.tokens)) if isinstance(only, Text) else None
            if step is None:
                return
            steps.append(step)
        self.line.steps = tuple(steps)

    def _tail(self, step: Step | None) -> None:
        """Take the label and the contract that end the line out of its text."""
        if step is None:
            return
        line = self.line
        if step.contract:
            line.contract = f" {step.contract}"
            line.text = line.text.removesuffix(line.contract)
        if step.label:
            line.label = f" {step.label}"
            line.text = line.text.removesuffix(line.label)

    # ---- on one line ----

    def _flat(self, statement: Statement) -> str | None:
        """A statement on one line; None where its author or a comment breaks it, or it is longer than any line."""
        if statement.flat is False:
            statement.flat = self._flattened(statement)
        assert not isinstance(statement.flat, bool)
        return statement.flat

    def _flattened(self, statement: Statement) -> str | None:
        if statement.verbatim is not None:
            return statement.verbatim if "\n" not in statement.verbatim else None
        parts = []
        length = 0
        for piece in statement.pieces:
            part = self._flat_piece(piece)
            length += len(part) + 1 if part is not None else self.limit
            if part is None or length > self.limit + 1:
                return None
            parts.append(part)
        return " ".join(parts)

    def _flat_piece(self, piece: Text | Body | Branches) -> str | None:
        if isinstance(piece, Text):
            return None if piece.comments or piece.own_line else self._flat_text(piece.tokens)
        if isinstance(piece, Body):
            if piece.opened or piece.comment or len(piece.rows) > 1:
                return None
            inner = self._flat_rows(piece.rows)
            return inner if inner is None else f"{{ {inner} }}" if inner else "{}"
        if piece.broken:
            return None
        ways = []
        length = 0
        for rows in piece.branches:
            way = self._flat_rows(rows) if len(rows) < 2 else None
            length += self.limit if way is None else len(way) + 3
            if way is None or length > self.limit:
                return None
            ways.append(way)
        return "[ " + " | ".join(ways) + " ]"

    def _flat_rows(self, rows: Sequence[Row]) -> str | None:
        """One row or none."""
        parts = []
        length = 0
        for row in rows:
            if row.comment:
                return None
            for statement in row.statements:
                part = self._flat(statement)
                length += self.limit if part is None else len(part) + 2
                if part is None or length > self.limit:
                    return None
                parts.append(part)
        return "; ".join(parts)

    # ---- on several lines ----

    def _broken(self, statement: Statement, indent: int, aligned: bool) -> None:
        """A statement that does not fit on the line, piece by piece."""
        if statement.verbatim is not None:
            self._verbatim(statement.verbatim)
            return
        pieces = statement.pieces
        flats = [self._flat_piece(piece) for piece in pieces]
        bodies = [at for at, piece in enumerate(pieces) if isinstance(piece, Body)]
        by_arms = self._arms_fit(pieces, flats, indent)
        for at, piece in enumerate(pieces):
            if isinstance(piece, Text):
                self._text_piece(
                    piece, indent, first=at == 0, by_arms=by_arms, before_body=at + 1 < len(pieces)
                )
                continue
            if at:
                self._put(" ")
            flat = flats[at]
            tail = flats[at + 1] if at + 1 < len(pieces) else ""
            fits = flat is not None and tail is not None and len(flat) + len(tail) + 1 <= self.room
            if isinstance(piece, Branches):
                if fits:
                    self._put(flat or "")
                else:
                    self._branches(piece)
            elif by_arms or (fits and len(bodies) == 1):
                self._put(flat or "")
            else:
                self._body(piece, indent)
        last = pieces[-1]
        if (
            aligned
            and isinstance(last, Text)
            and len(pieces) > 1
            and self._flat_text(last.tokens) is not None
        ):
            self._tail(read_step(last.tokens, spaced(last.tokens)))

    def _arms_fit(
        self, pieces: Sequence[Text | Body | Branches], flats: Sequence[str | None], indent: int
    ) -> bool:
        """Whether an `if` is to be written an arm a line: its author began one so, and each fits."""
        own_lines = any(isinstance(piece, Text) and (piece.own_line or piece.comments) for piece in pieces)
        if not own_lines:
            return False
        for text, body in zip(pieces[::2], flats[1::2], strict=False):
            words = self._flat_text(text.tokens) if isinstance(text, Text) else None
            if words is None or body is None or indent + len(words) + 1 + len(body) > self.limit:
                return False
        return True

    def _text_piece(self, piece: Text, indent: int, first: bool, by_arms: bool, before_body: bool) -> None:
        if piece.comments or (by_arms and not first):
            for comment in piece.comments:
                self._new_line(indent)
                self._put(comment)
            self._new_line(indent)
        elif not first:
            self._put(" ")
        self._words(piece.tokens, spaced(piece.tokens), indent, reserved=2 if before_body else 0)

    def _body(self, body: Body, indent: int) -> None:
        self._put("{")
        self.line.comment = body.comment
        if body.rows:
            self._new_line(indent + INDENT)
            self._rows(body.rows, indent + INDENT, in_branch=False)
        if body.rows or body.comment:
            self._new_line(indent)
        self._put("}")

    def _branches(self, branches: Branches) -> None:
        left = self.line.indent + len(self.line.text)
        for index, rows in enumerate(branches.branches):
            if index:
                self._new_line(left)
            self._put("| " if index else "[ ")
            self._branch(rows, left + 2)
        if self.line.comment or not self.line.text.strip():
            self._new_line(left)
            self._put("]")
        else:
            self._put(" ]" if not self.line.text.endswith(" ") else "]")

    def _branch(self, rows: Sequence[Row], indent: int) -> None:
        for index, row in enumerate(rows):
            if index:
                self._new_line(indent, row.blank)
            if row.statements:
                self._row(row, in_branch=True)
            else:
                self.line.comment = row.comment

    def _verbatim(self, text: str) -> None:
        first, *rest = text.split("\n")
        self._put(first)
        for line in rest:
            self._new_line(0)
            self._put(line)
