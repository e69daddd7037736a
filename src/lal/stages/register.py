"""Stage `register`: the exported bundle becomes a version in the model registry, to be served, promoted and traced."""

from pathlib import Path
from typing import Any

from lal.errors import RegistryError
from lal.export.facts import bundle_tags
from lal.params import Params
from lal.reporting import Registry, Reporter

MAKE_UP = "`dvc repro -f register` makes up for it, and so does `lal promote`"


def register(*, params: Params, bundle: Path, registry: Registry, reporter: Reporter) -> dict[str, Any]:
    """Registers a bundle. A registry that is out of reach costs a line, never the pipeline: the bundle is made.

    Args:
        params: `register` counts.
        bundle: The exported folder.
        registry: Where to.
        reporter: Told what became of it.

    Returns:
        The name of the model, and of the bundle which `version` it is, or 0 where it could not be registered.

    Raises:
        ModelError: The bundle is not what its manifest says.
    """
    name, tags = params.registration.name, bundle_tags(bundle)
    try:
        version = registry.register(name, bundle, tags)
    except RegistryError as error:
        version = 0
        reporter.say(f"NOT REGISTERED: {bundle}: {error.problem}\n  -> {MAKE_UP}")
    else:
        reporter.say(f"{bundle}: models:/{name}/{version}")
    return {"version": version, "name": [name]}
