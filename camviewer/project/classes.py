"""A project's annotation classes, and what the classes of its model mean."""

from __future__ import annotations

from camviewer.errors import ProjectError
from camviewer.project.file import ProjectFile
from camviewer.project.records import CLASS_COLOURS, AnnotationClass, ClassTable


class ClassRows(ProjectFile):
    """The class table."""

    def class_table(self) -> ClassTable:
        """Return the annotation classes and what the model's classes mean."""
        classes = tuple(AnnotationClass(*row) for row in self._all("SELECT id, name, colour FROM classes ORDER BY id"))
        by_model = self._all("SELECT model_index, class_id FROM model_classes ORDER BY model_index")
        return ClassTable(classes, {int(index): int(class_id) for index, class_id in by_model})

    def add_class(self, name: str, *, colour: str = "") -> AnnotationClass:
        """Add a class under an id that was never used before."""
        with self.transaction() as run:
            cursor = run("INSERT INTO classes (name, colour) VALUES (?, ?)", (name, colour))
            new_id = int(cursor.lastrowid)
            colour = colour or CLASS_COLOURS[(new_id - 1) % len(CLASS_COLOURS)]
            run("UPDATE classes SET colour = ? WHERE id = ?", (colour, new_id))
        return AnnotationClass(new_id, name, colour)

    def next_class_id(self) -> int:
        """Return the lowest id above all that classes of this project ever had."""
        row = self._one("SELECT seq FROM sqlite_sequence WHERE name = 'classes'")
        return 1 + (int(row[0]) if row else 0)

    def set_class_table(self, table: ClassTable, *, restore: bool = False) -> None:
        """Replace names, colours and the mapping; classes keep their ids.

        Args:
            restore: an edit is taken back, so that an id which was used before means what it meant.

        Raises:
            ProjectError: when a class that regions carry would vanish, or an id that belonged to a removed class
                would come back with another meaning.
        """
        with self.transaction() as run:
            have = {row[0] for row in run("SELECT id FROM classes")}
            free = self.next_class_id()
            for entry in table.classes:
                if entry.id < 1 or (entry.id not in have and entry.id < free and not restore):
                    raise ProjectError(f"Class id {entry.id} was used before; give {entry.name} a new one.")
            run("DELETE FROM model_classes")
            for gone in have - {entry.id for entry in table.classes}:
                used = run(
                    "SELECT 1 FROM masks WHERE class_id = ? UNION ALL SELECT 1 FROM boxes WHERE class_id = ? LIMIT 1",
                    (gone, gone),
                ).fetchone()
                if used:
                    raise ProjectError(f"Class {gone} cannot be removed: regions carry it. Change their class first.")
                run("DELETE FROM classes WHERE id = ?", (gone,))
            for entry in table.classes:
                run(
                    "INSERT INTO classes VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, colour = excluded.colour",
                    (entry.id, entry.name, entry.colour),
                )
            for index, class_id in table.by_model.items():
                if class_id not in {entry.id for entry in table.classes}:
                    raise ProjectError(f"Model class {index} means class {class_id}, which does not exist.")
                run("INSERT INTO model_classes VALUES (?, ?)", (index, class_id))
