"""The trigger form of the workflow and the text above its graph."""

import os
from typing import Any

from airflow.sdk import Param

from imagenet_tasks.settings.config import FORCE_FROM, MAX_CLASSES, POLICIES, SOURCES, STRATEGIES
from imagenet_tasks.settings.profiles import PROFILES
from imagenet_tasks.settings.training import ARMS, MAX_ROUNDS, MODELS

ACCEPT_TERMS = os.environ.get("IMAGENET_ACCEPT_TERMS", "").strip().lower() in ("1", "true", "yes")

DOC = """
### Train, find what is confused, repair it, and show whether that helped

Gets pictures of the chosen classes, trains a baseline, and evaluates it. Where **validation** accuracy is below the
goal (50 %), it gets more training pictures of just the classes that the model is worst at: new ones from the source,
and changed copies. It trains again from scratch with each, and once for as long with nothing added, takes what is best
on validation, and compares that with the longer training on the **test** pictures, which decide nothing.

| to ... | do |
|---|---|
| try it | *Trigger*, profile `sample`: drawn pictures, minutes on two cores. Its numbers say nothing about ImageNet. |
| use your pictures | profile `best` or `seed`, location: a folder or archive per class, or a table of labels |
| use ImageNet's | profile `best` or `seed`, source `synset-archives` or `url-list`, and accept ImageNet's terms |
| repeat the study | profile `study`: ConvNets 1 to 5 and its augmentations, by its own protocol |
| know what helped | seeds 3 or more: one training each is not enough to tell. More arms say more |
| read the result | the run's *Report* tab, or the last lines of the log of `write_report` |
| see why it branched | the log of `check_accuracy` |
| run again | the same settings reuse all finished work; `force` redoes it from a step on |

**Queues**: training goes to queue and pool `gpu` (one training at a time); everything else to the default queue.
**Retries**: what may pass (network, a killed worker) is tried again up to three times with growing pauses; a wrong
setting or too few pictures fails at once and says what to change.
**Schedule**: weekly, with the profile's settings, unless the environment sets IMAGENET_SCHEDULE (a cron expression, or
`none`); IMAGENET_LOCATION, IMAGENET_CONNECTION and IMAGENET_ACCEPT_TERMS stand in for fields left empty. Artifacts lie
below IMAGENET_HOME.
"""


BOUNDS = {"minimum", "maximum", "exclusiveMinimum"}
NOT_ONE = {"not": {"const": 1}}


def _override(kind: str | list[str], title: str, help_text: str, section: str, **schema: Any) -> Param:
    """A form field that is empty by default, which means "as the profile says".

    A number's bounds are out of the form's sight: what is typed beyond them it would change to them without a word.
    """
    kinds = [kind] if isinstance(kind, str) else kind
    if bounds := {name: schema.pop(name) for name in BOUNDS & schema.keys()}:
        schema["allOf"] = [bounds]
    return Param(None, type=["null", *kinds], title=title, section=section, description_md=help_text, **schema)


CLASS_NAME = {"type": "string", "pattern": r"^(?!\.{1,2}(/|$))[^\x00-\x1f]{1,255}$"}  # of a folder, or WordNet's
AS_PROFILE = {"null": "as the profile says"}
PARAMS: dict[str, Param] = {
    "profile": Param(
        os.environ.get("IMAGENET_PROFILE", "sample"),
        type="string",
        enum=list(PROFILES),
        title="Profile",
        section="What to run",
        description_md="\n".join(f"- **{name}**: {config.description}." for name, config in PROFILES.items()),
    ),
    "classes": _override(
        "array",
        "Classes",
        "Two or more, one a line: wnids, WordNet names, or names of the source's folders; an ambiguous name is refused "
        "with the candidates. Empty: the profile's 20 classes, or all that a folder has where it lacks one of these.",
        "What to run",
        items=CLASS_NAME,
        minItems=2,
        maxItems=MAX_CLASSES,
        uniqueItems=True,
    ),
    "source": _override(
        "string",
        "Source",
        "- **sample**: drawn pictures\n- **folder**: your own\n- **synset-archives**: ImageNet's tar per class\n"
        "- **url-list**: from where ImageNet's list of URLs says they are",
        "Pictures",
        enum=[None, *SOURCES],
        values_display=AS_PROFILE,
    ),
    "location": _override(
        "string",
        "Location",
        "- **sample**: empty\n- **folder**: a directory, archive or fsspec URL with a folder or archive per class, or "
        "with a labels.csv\n"
        "- **synset-archives**: a URL with {wnid} in it; empty: ImageNet's\n- **url-list**: path or URL of a list of "
        "all classes (wnid_index, tab, URL; plain, .gz or .tgz), or one with {wnid} in it for a text of URLs per class",
        "Pictures",
        maxLength=1000,
    ),
    "accept_imagenet_terms": Param(
        ACCEPT_TERMS,
        type="boolean",
        title="Accept ImageNet's terms",
        section="Pictures",
        description_md="The sources **synset-archives** and **url-list** need it: the pictures are for non-commercial "
        "research and education alone. Kept in the run's record and named in its report.",
    ),
    "connection": _override(
        "string",
        "Connection",
        "An Airflow connection (HTTP) with the host and the login or token of the pictures' server, where it wants "
        "one. It is sent to that host alone and written nowhere.",
        "Pictures",
        maxLength=250,
        pattern=r"^[\w.-]+$",
    ),
    "images_per_class": _override(
        "integer",
        "Pictures per class",
        "At most so many are downloaded and used. Empty: as the profile says.",
        "Pictures",
        minimum=1,
        maximum=100_000,
    ),
    "min_images_per_class": _override(
        "integer",
        "Fewest pictures per class",
        "A class with fewer falls short. Empty: 20, or *Pictures per class* where these are fewer.",
        "Pictures",
        minimum=1,
    ),
    "min_classes": _override(
        "integer",
        "Fewest classes",
        "With so many classes that do not fall short the run goes on without the others, and its report says so. "
        "Empty or 0: all; one class that falls short stops the run.",
        "Pictures",
        minimum=0,
        maximum=MAX_CLASSES,
        **NOT_ONE,
    ),
    "model": _override(
        "string",
        "Model",
        "`compact` (fast), or the study's `convnet1` to `convnet4`; `convnet5` is `convnet1` for 48 epochs. Empty: as "
        "the profile says.",
        "Training",
        enum=[None, *MODELS],
        values_display=AS_PROFILE,
    ),
    "epochs": _override(
        "integer",
        "Epochs, baseline",
        "Passes over the training pictures. Empty: as the profile says, else the model's own number.",
        "Training",
        minimum=1,
        maximum=10_000,
    ),
    "retrain_epochs": _override(
        "integer",
        "Epochs, after augmentation",
        "The same for the models of a repair. Empty: as the baseline's, where they are given; else as the profile "
        "says.",
        "Training",
        minimum=1,
        maximum=10_000,
    ),
    "train_minutes": _override(
        "number",
        "Minutes of a training at most",
        "Of its epochs: where all of them would take longer, fewer are trained, and the learning rate falls within "
        "these. All trainings of a repair still take as many steps. Empty: no cap.",
        "Training",
        exclusiveMinimum=0,
        maximum=10_000,
    ),
    "learning_rate": _override(
        "number",
        "Learning rate",
        "The highest of `compact`'s schedule. Empty: 0.004.",
        "Training",
        exclusiveMinimum=0,
        maximum=1,
    ),
    "weight_decay": _override("number", "Weight decay", "Of `compact`. Empty: 0.3.", "Training", minimum=0, maximum=10),
    "width": _override(
        "number",
        "Width",
        "A factor on the channels of `compact`: 0.5 is half as wide, and several times as fast. Empty: 1.",
        "Training",
        minimum=0.25,
        maximum=4,
    ),
    "tune_candidates": _override(
        "integer",
        "Tune, with ... candidates",
        "Tries so many settings of `compact` on validation, beside the run itself: 8 take about as long as eight "
        "trainings. The report has the winner's, to be entered for the next run. Empty or 0: no tuning.",
        "Training",
        minimum=0,
        maximum=64,
        **NOT_ONE,
    ),
    "seed": _override(
        "integer", "Seed", "Of weights, order and augmentation. Empty: 0.", "Training", minimum=0, maximum=2**31 - 1
    ),
    "seeds": _override(
        "integer",
        "Seeds",
        "So many trainings of each model and arm, from consecutive seeds: with three and more the verdict says whether "
        "the gain is more than the luck of one training. With one it never says so. Empty: as the profile says.",
        "Training",
        minimum=1,
        maximum=20,
    ),
    "early_stopping_patience": _override(
        "integer",
        "Stop early after ... epochs",
        "That is, so many without a better validation loss. Empty or 0: never.",
        "Training",
        minimum=0,
        maximum=1000,
    ),
    "label_check_folds": _override(
        "integer",
        "Check the labels in ... parts",
        "Each part is judged by a training on the others, and pictures whose label that disputes are listed "
        "in the report and not copied. Costs as many trainings. Empty or 0: none.",
        "Training",
        minimum=0,
        maximum=10,
        **NOT_ONE,
    ),
    "final_models": _override(
        "integer",
        "Final model of ... seeds",
        "So many seeds of the best training, and mirrored views, become one Keras model: mostly better, and slower to "
        "answer. The report says by how much. At most as many as seeds. Empty or 0: none.",
        "Training",
        minimum=0,
        maximum=20,
    ),
    "learning_curve": _override(
        "boolean",
        "Tell what more pictures are worth",
        "Trains on a quarter and a half of the training pictures as well, and says what more pictures of each class "
        "would add to its recall. Costs about as much as the baseline again, and needs two seeds or more.",
        "Training",
    ),
    "accuracy_goal": _override(
        "number",
        "Accuracy goal",
        "A share: 0.5 is 50 %. Strictly below it, on validation, the repair is tried. Empty: 0.5.",
        "Repair",
        minimum=0,
        maximum=1,
    ),
    "strategy": _override(
        "string",
        "Choose the classes by",
        "- **recall**: the lowest on validation, judged by its interval\n"
        "- **confused**: the largest share of all confusions\n"
        "- **correlated**: the worst, and those that they are confused with\n- **manual**: those named below",
        "Repair",
        enum=[None, *STRATEGIES],
        values_display=AS_PROFILE,
    ),
    "augment_classes": _override(
        "array",
        "Classes of the manual choice",
        "One a line, by wnid or name.",
        "Repair",
        items=CLASS_NAME,
        uniqueItems=True,
    ),
    "classes_to_augment": _override(
        "integer",
        "Classes to augment",
        "How many the strategy chooses. Empty: 5 with the profile best, else 3.",
        "Repair",
        minimum=1,
        maximum=1000,
    ),
    "pictures_to_add": _override(
        "integer",
        "Pictures to add per class",
        "New ones, and in another arm as many changed copies. Empty: as the profile says.",
        "Repair",
        minimum=1,
        maximum=100_000,
    ),
    "policy": _override(
        "string",
        "Changes of the pictures",
        "- **study**: rotation, zoom crop, flips\n- **colour**: these, and brightness, contrast, saturation\n"
        "- **trivial**: one random change of random strength (TrivialAugment)",
        "Repair",
        enum=[None, *POLICIES],
        values_display=AS_PROFILE,
    ),
    "denied_transforms": _override(
        "array",
        "Never change ... by",
        "One class a line: `acropolis: vertical_flip rotation`. Empty: as the profile says.",
        "Repair",
        items={"type": "string", "pattern": r"^.+:[a-z_ ]+$"},
    ),
    "arms": _override(
        "array",
        "Repairs that compete",
        "What competes in a repair, each for as many steps; validation picks the best. Always: **longer** (nothing "
        "added: the control) and **targeted** (changed copies of the chosen classes).\n"
        "- **collect**: new pictures of the chosen classes from the source\n"
        "- **collect-hard**: of three times as many new ones those that the model gets most wrong\n"
        "- **collect-all**: as many new ones over all classes\n- **more**: twice as many copies\n"
        "- **correlated**: copies also of what they are confused with\n"
        "- **untargeted**: as many copies over all classes\n"
        "- **mix**: pictures of confused classes are mixed with one another\n"
        "- **soften**: pictures of the chosen classes are mixed, shifted and mirrored half as much\n"
        "- **clean**: without the pictures whose label is in doubt (*Check the labels in ... parts*)\n\n"
        "The list replaces the profile's: name **collect** again to keep it. Empty: as the profile says.",
        "Repair",
        items={"type": "string", "enum": list(ARMS)},
        uniqueItems=True,
    ),
    "rounds": _override(
        "integer",
        "Repairs at most",
        "Each chooses anew and goes on from the best arm of the one before, until the goal is met or no arm beats "
        "**longer**. Empty: 1.",
        "Repair",
        minimum=1,
        maximum=MAX_ROUNDS,
    ),
    "more_settings": _override(
        "array",
        "More settings",
        "One a line, for what has no field here: `batch_size=32`. `python -m imagenet_tasks config` lists all; "
        "**arms=** with nothing behind it empties a list.\n\n"
        "Or **all settings of another run**: paste the JSON from its report (*Settings*) or its *Report* tab. It "
        "brings its own profile; a field that is filled in above takes precedence over it.",
        "More",
        items={"type": "string", "pattern": r"^\s*($|[a-z_]+\s*=|[\[\]{}\"])", "maxLength": 500_000},
    ),
    "force": Param(
        None,
        type=["null", "string"],
        enum=[None, *FORCE_FROM[1:]],
        title="Force from",
        section="Rerun",
        values_display={"null": "nothing: reuse all finished work"},
        description_md="Do this step and all after it again, although its finished work is there. Empty: reuse it.",
    ),
}
