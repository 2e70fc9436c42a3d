"""The trigger form of the workflow and the text above its graph."""

import os
from typing import Any

from airflow.sdk import Param
from imagenet_fields import (
    ARM_WORDS,
    MODEL_WORDS,
    POLICY_WORDS,
    SOURCE_WORDS,
    STEP_WORDS,
    STRATEGY_WORDS,
    Field,
    field,
    menu,
)

from imagenet_tasks.settings.config import FEWEST_IMAGES_PER_CLASS, MAX_CLASSES, MAX_IMAGES_PER_CLASS
from imagenet_tasks.settings.profiles import PROFILES
from imagenet_tasks.settings.training import ARMS, COMPACT, CONTROL, MAX_ROUNDS

ACCEPT_TERMS = os.environ.get("IMAGENET_ACCEPT_TERMS", "").strip().lower() in ("1", "true", "yes")

# Airflow shows it in a dialog of 500 x 400 pixels, without italics.
DOC = """
### Train, repair the confused classes, report whether it helped

- **Try it**: Trigger with the profile `sample`. Its pictures are drawn: its numbers say nothing about ImageNet.
- **Use your own pictures**: profile `best`, source *your own*, location: a folder or archive per
  class, or a table of labels.
- **Use ImageNet's pictures**: profile `best` or `seed`, source *ImageNet's archives* or *list of URLs*;
  accept its terms.
- **Repeat the study**: profile `study`: ConvNets 1 to 5 and its augmentations, by its own protocol.
- **Know what helped**: three seeds or more; one training each is not enough to tell.
- **Read the result**: the run's *Report* tab. On a phone: *ImageNet* in the menu, then the run.
- **Find wrong labels**: *Label check* in the form; the report lists them under *Suspect labels*.
- **Run again**: on the run's page, *Trigger*, *Trigger again with this config*. Finished work is reused; where
  nothing is new, nothing is trained.
- **Redo a step**: *Do again from* in the form's section *Redo a step, other settings*: that step and all after it.
- **Use the model**: the report's *Which model do I use?* has the command.

The workflow gets pictures of the chosen classes, trains a baseline, and evaluates it. If **validation** accuracy is
below the goal (50 %), it gets more training pictures of just the classes that the model is worst at: new ones from the
source, and changed copies. It trains again from scratch with each, and once equally long with nothing added: the
control. It takes the best on validation, and compares that with the control on the **test** pictures, which decide
nothing.

**Queues**: training goes to queue and pool `gpu` (one training at a time); everything else to the default queue.

**Retries**: what may pass (a network fault, a killed worker) is tried again up to three times with growing pauses;
a wrong setting or too few pictures fails at once and says what to change.

**Schedule**: none, until the environment names pictures (IMAGENET_LOCATION, and a profile other than `sample`: weekly)
or sets IMAGENET_SCHEDULE, a cron expression. IMAGENET_LOCATION, IMAGENET_CONNECTION and IMAGENET_ACCEPT_TERMS stand in
for fields left empty. Artifacts lie below IMAGENET_HOME.
"""

NOT_ONE: dict[str, Any] = {"not": {"const": 1}}
CLASS_NAME = {"type": "string", "pattern": r"^(?!\.{1,2}(/|$))[^\x00-\x1f]{1,255}$"}  # of a folder, or WordNet's

FORM: dict[str, dict[str, Field]] = {
    "Run Parameters": {  # the one section that Airflow's form opens by itself, by this name
        "profile": lambda _, section: Param(
            os.environ.get("IMAGENET_PROFILE", "sample"),
            type="string",
            enum=list(PROFILES),
            title="Profile",
            section=section,
            description_md="\n".join(f"- **{name}**: {config.description}." for name, config in PROFILES.items())
            + "\n\nThe study is the published one that this workflow automates: 20 classes, 47.2 % to 51.7 %.",
        ),
        "source": field(
            "string",
            "Source of the pictures",
            "For your pictures choose **your own**, and give their place below. Drawn ones say nothing about ImageNet.",
            words=SOURCE_WORDS,
            choices=SOURCE_WORDS,
        ),
        "location": field(
            "string",
            "Location",
            "- **Your own**: a directory, archive or fsspec URL with a folder or archive per class, or a labels.csv\n"
            "- **ImageNet's archives**: empty, or a URL with {wnid} in it\n"
            "- **ImageNet's list of URLs**: that list, or a URL with {wnid} in it for a list per class",
            maxLength=1000,
        ),
        "accept_imagenet_terms": lambda _, section: Param(
            ACCEPT_TERMS,
            type="boolean",
            title="Accept ImageNet's terms",
            section=section,
            description_md="For ImageNet's archives and list of URLs: non-commercial research and education alone. "
            "Kept in the run's record and named in its report.",
        ),
        "classes": field(
            "array",
            "Classes",
            "Two or more: wnids, WordNet names, or names of the source's folders.",
            words=lambda classes: f"the study's {len(classes)}, or all of a folder that lacks one of these",
            items=CLASS_NAME,
            minItems=2,
            maxItems=MAX_CLASSES,
            uniqueItems=True,
        ),
    },
    "Which pictures": {
        "images_per_class": field(
            "integer",
            "Pictures per class",
            "At most this many are downloaded and used.",
            words={},
            minimum=1,
            maximum=MAX_IMAGES_PER_CLASS,
        ),
        "min_images_per_class": field(
            "integer",
            "Fewest pictures per class",
            "A class with fewer falls short.",
            words={None: f"{FEWEST_IMAGES_PER_CLASS}, or as many as are wanted if that is fewer"},
            minimum=1,
        ),
        "min_classes": field(
            "integer",
            "Fewest classes",
            "If this many do not fall short, the run goes on without the others, and its report says so.",
            words={0: "all, and one class that falls short stops the run"},
            minimum=0,
            maximum=MAX_CLASSES,
            **NOT_ONE,
        ),
        "connection": field(
            "string",
            "Connection",
            "An Airflow connection (HTTP) with the host and the login or token of the pictures' server, if it needs "
            "one. They are sent to that host alone and written nowhere.",
            maxLength=250,
            pattern=r"^[\w.-]+$",
        ),
    },
    "How to train": {
        "model": field("string", "Model", "The network of the baseline.", words={}, choices=MODEL_WORDS),
        "seeds": field(
            "integer",
            "Seeds",
            "Trainings of each model and arm. With three or more the verdict can tell a gain from the luck of one "
            "training; with one it cannot.",
            words={},
            minimum=1,
            maximum=20,
        ),
        "epochs": field(
            "integer",
            "Epochs of the baseline",
            "Passes over the training pictures. **compact**'s own number depends on how many there are.",
            words={None: "the model's own"},
            minimum=1,
            maximum=10_000,
        ),
        "train_minutes": field(
            "number",
            "Time limit of a training (minutes)",
            "If all epochs would take longer, fewer are trained. All trainings of a repair still take equally many "
            "steps.",
            words={None: "no cap"},
            exclusiveMinimum=0,
            maximum=10_000,
        ),
        "early_stopping_patience": field(
            "integer",
            "Stop after epochs without gain",
            "A training ends after this many without a better validation loss.",
            words={0: "never"},
            minimum=0,
            maximum=1000,
        ),
        "seed": field(
            "integer",
            "First seed",
            "It sets the weights, the order and the augmentation.",
            words={},
            minimum=0,
            maximum=2**31 - 1,
        ),
        "learning_rate": field(
            "number",
            "Learning rate",
            "Used by **compact** only: the highest of its schedule.",
            words={None: f"{COMPACT['learning_rate']:g}"},
            exclusiveMinimum=0,
            maximum=1,
        ),
        "weight_decay": field(
            "number",
            "Weight decay",
            "Used by **compact** only.",
            words={None: f"{COMPACT['weight_decay']:g}"},
            minimum=0,
            maximum=10,
        ),
        "width": field(
            "number",
            "Width",
            "A factor on the channels of **compact**: 0.5 is half as wide, and several times as fast.",
            words={None: f"{COMPACT['width']:g}"},
            minimum=0.25,
            maximum=4,
        ),
    },
    "When and how to repair": {
        "accuracy_goal": field(
            "number",
            "Accuracy goal",
            "A share from 0 to 1: 0.5 is 50 %. If validation accuracy is strictly below it, a repair is tried.",
            words={},
            minimum=0,
            maximum=1,
        ),
        "ask_before_repair_minutes": field(
            "number",
            "Ask before a repair (minutes)",
            "The run waits this long on Airflow's page *Required Actions* for someone to say whether to repair, and "
            "with what. Without an answer the repair is tried.",
            words={0: "nobody is asked"},
            minimum=0,
            maximum=10_080,
        ),
        "arms": field(
            "array",
            "Repairs to try",
            "All take equally many steps, and validation picks the best. Always there: changed copies of the chosen "
            "classes (**targeted**) and nothing added (**longer**, the control). The list replaces the profile's.",
            words=lambda arms: " and ".join(arm for arm in arms if arm not in (CONTROL, "targeted")) or "none",
            choices=ARM_WORDS,
            items={"type": "string", "enum": list(ARMS)},
            uniqueItems=True,
        ),
        "pictures_to_add": field(
            "integer",
            "Pictures to add per class",
            "New ones, and in another arm equally many changed copies.",
            words={},
            minimum=1,
            maximum=100_000,
        ),
        "strategy": field(
            "string", "Choose the classes by", "Their figures on validation.", words={}, choices=STRATEGY_WORDS
        ),
        "classes_to_augment": field(
            "integer", "Classes to repair", "How many are chosen.", words={}, minimum=1, maximum=1000
        ),
        "augment_classes": field(
            "array",
            "Classes chosen by hand",
            "Wnids or names. Used only if the field above is **manual**.",
            items=CLASS_NAME,
            uniqueItems=True,
        ),
        "rounds": field(
            "integer",
            "Repairs at most",
            "Each goes on from the best arm of the one before, until the goal is met or no arm beats **longer**.",
            words={},
            minimum=1,
            maximum=MAX_ROUNDS,
        ),
        "retrain_epochs": field(
            "integer",
            "Epochs of a repair",
            "Counted in passes over the pictures of the arm **targeted**, for all arms.",
            words={None: "as many as are given for the baseline, or the model's own"},
            minimum=1,
            maximum=10_000,
        ),
        "policy": field("string", "Changes of the copies", "How each copy is made.", words={}, choices=POLICY_WORDS),
        "denied_transforms": field(
            "array",
            "Changes not made to a class",
            "One rule a line, such as **acropolis: vertical_flip rotation**.",
            words=lambda rules: f"{len(rules)} rules" if rules else "none",
            items={"type": "string", "pattern": r"^.+:[a-z_ ]+$"},
        ),
    },
    "Checks: labels, tuning, new pictures": {
        "learning_curve": field(
            "boolean",
            "What more pictures are worth",
            "Trains on a quarter and a half of the training pictures as well. Costs about as much as the baseline "
            "again, and needs two seeds or more.",
            words={False: "off"},
        ),
        "label_check_folds": field(
            "integer",
            "Label check: number of parts",
            "**2** turns the check on and is quickest, **5** judges best: the labels of each part are judged by one "
            "more training, on the other parts. The report lists disputed pictures under *Suspect labels*; the most "
            "doubted are not copied.",
            words={0: "no check"},
            minimum=0,
            maximum=10,
            **NOT_ONE,
        ),
        "tune_candidates": field(
            "integer",
            "Candidates to tune",
            "Tunes **compact** on validation, alongside the run: 8 take about as long as eight trainings. The "
            "report names the best, for the next run.",
            words={0: "no tuning"},
            minimum=0,
            maximum=64,
            **NOT_ONE,
        ),
        "final_models": field(
            "integer",
            "Seeds in a final model",
            "This many seeds of the best training, and mirrored views, become one Keras model: mostly better, and "
            "slower to answer. The report says by how much.",
            words={0: "no final model"},
            minimum=0,
            maximum=20,
        ),
        "drift_check": field(
            "boolean",
            "The champion on new pictures",
            "Before anything is trained, the champion of these classes answers the pictures that are new since it was "
            "trained, and the report says whether it holds. Takes a minute or so.",
            words={False: "on in scheduled runs, off in others"},
        ),
        "skip_if_holds": field(
            "boolean",
            "Train nothing while the champion holds",
            "If the champion holds on enough new pictures, and no setting differs from those of its run, the run "
            "ends with a short report. Needs the field above.",
            words={False: "on in scheduled runs, off in others"},
        ),
    },
    "Redo a step, other settings": {
        "force": lambda _, section: Param(
            None,
            type=["null", "string"],
            enum=[None, *STEP_WORDS],
            title="Do again from",
            section=section,
            values_display=menu(STEP_WORDS) | {"null": "nothing: reuse all finished work"},
            description_md="This step and all after it, even if their work is finished.",
        ),
        "more_settings": field(
            "array",
            "More settings",
            "One a line, for what has no field here: **batch_size=32**. *python -m imagenet_tasks config* lists all; "
            "**arms=** with nothing behind it empties a list.  \n"
            "Or **all settings of another run**: the JSON from its report (*Settings*) or its *Report* tab. It brings "
            "its own profile; a field that is filled in above takes precedence.",
            items={"type": "string", "pattern": r"^\s*($|[a-z_]+\s*=|[\[\]{}\"])", "maxLength": 500_000},
        ),
    },
}
PARAMS = {name: made(name, section) for section, fields in FORM.items() for name, made in fields.items()}
