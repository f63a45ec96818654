"""A small application with one of everything that OmegaConf can hold."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf


class Colour(Enum):
    red = 1
    blue = 2


@dataclass
class Part:
    size: int = 1
    label: str = "${name}"


@dataclass
class Schema:
    port: int = 3306
    ratio: float = 0.5
    colour: Colour = Colour.red
    maybe: int | None = None
    either: int | str = 5
    folder: Path = Path("here")
    limits: dict[str, int] = field(default_factory=lambda: {"low": 1, "high": "${n}"})  # type: ignore[dict-item]
    numbers: list[int] = field(default_factory=lambda: [1, 2])
    part: Part = field(default_factory=Part)
    parts: list[Part] = field(default_factory=list)
    follows: float = "${n}"  # type: ignore[assignment]
    needed: str = MISSING
    flag: bool = False


FILES = {
    "config.yaml": """
defaults:
  - typed: schema
  - db: mysql
  - extra: null
  - _self_
name: app
n: 3
text: run_${n}
twice: ${double:${n}}
mixed: [1, '${n}', {deep: '${text}'}]
alias: ${db}
indirect: ${alias.host}
relative: {a: 1, b: '${.a}', c: '${..n}'}
year: ${now:%Y}
num: ${hydra:job.num}
folder: ${hydra:runtime.output_dir}
dirname: ${hydra:job.override_dirname}
subdir: ${hydra:sweep.subdir}
env: ${oc.env:PLUGINS_TEST,unset}
missing: ???
nothing: null
open: {a: 1, b: {c: 2}}
1: one
hydra:
  sweep: {dir: 'out/${name}/${now:%Y}', subdir: '${hydra.job.num}_${n}_${db.host}'}
  job:
    config: {override_dirname: {exclude_keys: [n], kv_sep: ':'}}
""",
    "db/mysql.yaml": "host: my\nuser: root\n",
    "db/postgres.yaml": "host: post\nuser: admin\ntimeout: ${n}\n",
    "extra/more.yaml": "# @package _global_\ndefaults:\n  - override /db: postgres\nn: 30\nadded: ${db.timeout}\n",
}


def make(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    ConfigStore.instance().store(group="typed", name="schema", node=Schema)
    OmegaConf.register_new_resolver("double", lambda value: 2 * value, replace=True)
    return folder


# Each entry: the key's texts, of which a random job takes one. Some of them are refused.
PLAIN: list[list[str]] = [
    ["n=1", "n=2", "n=7", "n=null", "n=1.5", "n=abc", "n=[1,2]", "n=true", "n=-0", "n=1e3", "n=nan"],
    ["name=x", "name='a b'", 'name="q"', "name=", "name=x-y", "name=a/b"],
    ["text=plain", "text=${name}", "text=???", "text=3"],
    ["typed.port=1", "typed.port=22", "typed.port='33'", "typed.port=bad", "typed.port=null", "typed.port=1.5"],
    ["typed.ratio=1", "typed.ratio=0.25", "typed.ratio=inf", "typed.ratio=[1]"],
    ["typed.colour=blue", "typed.colour=red", "typed.colour=green", "typed.colour=2"],
    ["typed.maybe=4", "typed.maybe=null", "typed.maybe=x"],
    ["typed.either=7", "typed.either=word", "typed.either=[1]", "typed.either=1.5"],
    ["typed.folder=/tmp/x", "typed.folder=rel", "typed.folder=3"],
    ["typed.limits.low=5", "typed.limits.low=x", "typed.limits.new=3", "typed.limits={low:3,top:9}"],
    ["typed.numbers=[3]", "typed.numbers=[]", "typed.numbers=[x]", "typed.numbers=null", "typed.numbers=[1,2,3]"],
    ["typed.numbers.0=9", "typed.numbers.5=9", "mixed.0=4", "mixed.1=5", "mixed.2.deep=x"],
    ["typed.part=null", "typed.part={size:4}", "typed.part.size=3", "typed.part.label=l"],
    ["typed.parts=[{size:3},{label:z}]", "typed.parts=[]", "typed.parts=[1]"],
    ["typed.follows=2.5", "typed.follows=3", "typed.needed=given", "typed.flag=true", "typed.flag=maybe"],
    ["open=null", "open=5", "open=[1]", "open={a:2}", "open.a=3", "open.b=x", "open.b.c=[1,2]", "open.z=1"],
    ["nothing=1", "nothing=[1,2]", "nothing=[]", "nothing=null", "nothing.x=1"],
    ["alias=3", "alias.host=mine", "relative.a=5", "relative.b=6", "missing=1", "missing.x=1", "1=eins"],
    ["db.host=h1", "db.host=h2", "db.host=[a]", "db.timeout=4", "db={host:h3}", "mixed=[]", "mixed=[a,[b]]"],
]
OTHERS: list[str] = [
    "db=mysql", "db=postgres", "db=none", "db=[mysql]", "extra=more", "+extra=more", "~extra", "~db", "~db=mysql",
    "~db=x", "+new=1", "+new=[1]", "+new={a:1}", "+n=3", "++n=4", "++deep.er=1", "+db.port=3", "+open.b.d=${n}",
    "~open.b", "~open.b.c", "~open.b.c=2", "~open.b.c=9", "~nothing", "~nowhere", "~name", "+db@other=mysql",
    "db@x=mysql", "foo/bar=1", "n=1,2", "n=range(3)", "bad key=1", "n=[1", "text=${n}_${name}", "text=${",
    "alias=${relative}", "open=${db}", "hydra.job.name=j", "hydra.sweep.subdir=${hydra.job.override_dirname}",
    "hydra.sweep.dir=${name}", "hydra.nope=1", "+hydra.job.env_set={PLUGINS_TEST:set}", "hydra.job.env_copy=[HOME]",
    "hydra.job.num=x", "hydra={verbose:true}", "hydra.job.config.override_dirname.item_sep=${name}",
    "hydra/launcher=basic", "hydra/launcher=nope", "hydra.verbose=true", "hydra.searchpath=[pkg://nowhere]",
    "hydra.runtime.cwd=x", "text='${n}'", "nothing=${hydra:job.name}",
]  # fmt: skip


def random_jobs(random: Any, length: int) -> list[list[str]]:
    """Jobs that mostly set the same keys, in the same order, beside some overrides that all of them share."""
    groups = random.sample(PLAIN, random.randint(1, 4))
    shared = random.sample(OTHERS, random.choice([0, 0, 0, 1, 1, 2]))
    keys = [random.choice(group).split("=")[0] for group in groups]
    jobs = []
    for _ in range(length):
        lines = [random.choice([t for t in group if t.split("=")[0] == key]) for group, key in zip(groups, keys)]
        jobs.append(lines + shared if len(shared) < 2 else shared[:1] + lines + shared[1:])
    return jobs
