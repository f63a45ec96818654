"""Which columns of a table are what."""

from __future__ import annotations

from dataclasses import dataclass

from noiseworks.data.unknown import not_there
from noiseworks.errors import UserError


@dataclass(frozen=True)
class Roles:
    """Names of columns as the settings give them; `features` None: all that have no other role."""

    target: str
    features: tuple[str, ...] | None = None
    offset: str | None = None
    weights: str | None = None

    def named(self) -> dict[str, str]:
        """setting -> column, for the roles of one column."""
        pairs = {"target": self.target, "offset": self.offset, "weights": self.weights}
        return {f"data.{key}": name for key, name in pairs.items() if name is not None}

    def check(self, names: list[str], source: str) -> None:
        wanted = [*self.named().items(), *(("data.features", name) for name in self.features or ())]
        for key, name in wanted:
            if name not in names:
                raise UserError(not_there(f"{key}: {source} has no column {name}", name, names))
        for key in ("offset", "weights"):
            if getattr(self, key) == self.target:
                raise UserError(f"data.{key}={self.target} is the target too; it must be another column.")
        for i, name in enumerate(self.features or ()):
            if name == self.target:
                raise UserError(f"data.features lists {name}, which is the target; it must list other columns.")
            if name in (self.features or ())[:i]:
                raise UserError(f"data.features lists {name} twice; once is enough.")

    def choose(self, names: list[str], source: str) -> list[str]:
        """The columns that are features, in order."""
        self.check(names, source)
        if self.features is not None:
            return list(self.features)
        features = [name for name in names if name not in self.named().values()]
        if not features:
            raise UserError(
                f"data.features: {source} has no column beside {', '.join(self.named().values())}; "
                "data.features=[] fits an intercept alone."
            )
        if "" in features:
            raise UserError(
                f"Column {names.index('') + 1} of {source} has no name (row numbers?); "
                "give it one, or list the columns to use in data.features."
            )
        return features
