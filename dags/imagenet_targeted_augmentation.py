"""The workflow in Airflow: its form, graph, retries and routing. The work itself is in `imagenet_tasks`."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, Label, Param, RetryAction, RetryRule, dag, get_current_context, task

from imagenet_tasks.artifacts import Run
from imagenet_tasks.classes import CLASS_TEXT_PATTERN
from imagenet_tasks.config import FORCE_FROM, MAX_CLASSES, MODELS, PROFILES, SOURCES, Credentials, make_credentials
from imagenet_tasks.errors import (
    AcceleratorMissing,
    ArtifactError,
    ConfigError,
    DataError,
    NonFiniteLoss,
    TrainingTimeout,
)
from imagenet_tasks.storage import Store, default_home

DAG_ID = "imagenet_targeted_augmentation"
# Of runs that name none, such as scheduled ones.
LOCATION = os.environ.get("IMAGENET_LOCATION") or None
CONNECTION = os.environ.get("IMAGENET_CONNECTION") or None
ALLOWED_PRIVATE_HOSTS = os.environ.get("IMAGENET_ALLOWED_PRIVATE_HOSTS") or None
ACCEPT_TERMS = os.environ.get("IMAGENET_ACCEPT_TERMS", "").strip().lower() in ("1", "true", "yes")
GPU = {"queue": os.environ.get("IMAGENET_GPU_QUEUE", "gpu"), "pool": os.environ.get("IMAGENET_GPU_POOL", "gpu")}
TRAIN_TIMEOUT = timedelta(hours=48)
CHILD_TIMEOUT_S = TRAIN_TIMEOUT.total_seconds() - 600  # the child ends with its own error, not with Airflow's
RETRIES = 3

DOC = """
### Train, find what is confused, repair it, and show whether that helped

Gets pictures of the chosen classes, trains a baseline, and evaluates it. Where **validation** accuracy is below the
goal (50 %), it makes more training pictures of just the classes that the model confuses most, trains again from
scratch, and compares both models on the **test** pictures, which decide nothing.

| to ... | do |
|---|---|
| try it | *Trigger*, profile `sample`: drawn pictures, minutes on two cores. Its numbers say nothing about ImageNet. |
| use your pictures | profile `best` or `seed`, location: a directory or URL with a folder or .tar per class |
| use ImageNet's | profile `best` or `seed`, source `synset-archives` or `url-list`, and accept ImageNet's terms |
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


def _override(kind: str | list[str], title: str, help_text: str, section: str, **schema: Any) -> Param:
    """A form field that is empty by default, which means "as the profile says"."""
    kinds = [kind] if isinstance(kind, str) else kind
    return Param(None, type=["null", *kinds], title=title, section=section, description_md=help_text, **schema)


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
        items={"type": "string", "pattern": CLASS_TEXT_PATTERN},
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
        "- **sample**: empty\n- **folder**: a directory or fsspec URL with a folder or .tar archive per class\n"
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
        "integer", "Fewest pictures per class", "A class with fewer falls short. Empty: 20.", "Pictures", minimum=1
    ),
    "min_classes": _override(
        "integer",
        "Fewest classes",
        "With so many classes that do not fall short the run goes on without the others, and its report says so. "
        "Empty: all; one class that falls short stops the run.",
        "Pictures",
        minimum=2,
        maximum=MAX_CLASSES,
    ),
    "model": _override(
        "string",
        "Model",
        "`compact` (0.3 M parameters, fast) or `convnet1` (the study's). Empty: as the profile says.",
        "Training",
        enum=[None, *MODELS],
        values_display=AS_PROFILE,
    ),
    "epochs": _override(
        "integer",
        "Epochs, baseline",
        "Passes over the training pictures. Empty: as the profile says.",
        "Training",
        minimum=1,
        maximum=10_000,
    ),
    "retrain_epochs": _override(
        "integer",
        "Epochs, after augmentation",
        "The same for the second model. Empty: as the profile says.",
        "Training",
        minimum=1,
        maximum=10_000,
    ),
    "seed": _override(
        "integer", "Seed", "Of weights, order and augmentation. Empty: 0.", "Training", minimum=0, maximum=2**31 - 1
    ),
    "accuracy_goal": _override(
        "number",
        "Accuracy goal",
        "A share: 0.5 is 50 %. Strictly below it, on validation, the repair is tried. Empty: 0.5.",
        "Repair",
        minimum=0,
        maximum=1,
    ),
    "classes_to_augment": _override(
        "integer",
        "Classes to augment",
        "Those with the lowest recall on validation. Empty: 3.",
        "Repair",
        minimum=1,
        maximum=1000,
    ),
    "pictures_to_add": _override(
        "integer",
        "Pictures to add per class",
        "Changed copies of training pictures. Empty: as the profile says.",
        "Repair",
        minimum=1,
        maximum=100_000,
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


def _schedule() -> str | None:
    wanted = os.environ.get("IMAGENET_SCHEDULE", "@weekly").strip()
    return None if wanted.lower() in ("", "none") else wanted


def _credentials(connection: str) -> Credentials:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        held = Connection.get(connection)
    except AirflowNotFoundException as error:
        raise ConfigError(
            f"connection: Airflow has none called {connection!r}. Make it (Admin, Connections) or correct the name."
        ) from error
    return make_credentials(
        connection, host=held.host, scheme=held.schema, port=held.port, login=held.login, password=held.password
    )


def _run() -> Run:
    context = get_current_context()
    return Run(Store(default_home()), context["dag_run"].dag_id, context["run_id"])


@dag(
    dag_id=DAG_ID,
    dag_display_name="ImageNet: train, repair, report",
    description="Trains a classifier, repairs the classes that it confuses, and shows whether that helped",
    doc_md=DOC,
    params=PARAMS,
    schedule=_schedule(),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["imagenet", "training"],
    default_args={
        "retries": RETRIES,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": ExceptionRetryPolicy(
            rules=[
                RetryRule(
                    exception=[
                        ConfigError,
                        DataError,
                        ArtifactError,
                        NonFiniteLoss,
                        AcceleratorMissing,
                        TrainingTimeout,
                    ],
                    action=RetryAction.FAIL,
                    reason="trying again cannot help",
                )
            ]
        ),
        "execution_timeout": timedelta(minutes=30),
    },
)
def imagenet_targeted_augmentation() -> None:
    """Builds the graph."""

    @task(
        execution_timeout=timedelta(hours=2),  # the first time it reads a URL list of millions of lines
        doc_md="Settles the settings and the classes of this run; a wrong setting fails here, before any work.",
    )
    def plan_run() -> list[dict[str, Any]]:
        from airflow.sdk.configuration import conf

        from imagenet_tasks import tasks

        params = dict(get_current_context()["params"])
        profile = params.pop("profile")
        source = params["source"] or PROFILES[profile].download.source
        if source != "sample":
            params["location"] = params["location"] or LOCATION
            params["connection"] = params["connection"] or CONNECTION
            params["allowed_private_hosts"] = ALLOWED_PRIVATE_HOSTS  # for who runs Airflow to say, not for its users
        max_tasks = conf.getint("core", "max_map_length")
        return tasks.plan_run(_run(), profile, params, credentials=_credentials, max_tasks=max_tasks)

    @task(
        map_index_template="{{ task.op_kwargs['group']['name'] }}",
        execution_timeout=timedelta(hours=12),
        doc_md="Gets one class's pictures: bounded requests, each picture decoded and judged; a retry asks only for "
        "what has no final answer. The log counts accepted and rejected pictures. With very many classes, several "
        "share a task.",
    )
    def download_class(group: dict[str, Any]) -> dict[str, Any]:
        from imagenet_tasks import tasks

        instance = get_current_context()["ti"]
        last_attempt = instance.try_number > instance.max_tries
        return tasks.download_class(_run(), group, credentials=_credentials, last_attempt=last_attempt)

    @task(
        map_index_template="{{ task.op_kwargs['group']['name'] }}",
        execution_timeout=timedelta(hours=4),
        doc_md="Decodes one class's pictures and resizes them to 68 rows by 45 columns, once.",
    )
    def preprocess_class(group: dict[str, Any]) -> list[dict[str, Any]]:
        from imagenet_tasks import tasks

        return tasks.preprocess_class(_run(), group)

    @task(doc_md="Splits by content hash into training, validation and test; too few pictures stop the run here.")
    def build_dataset(prepared: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        from imagenet_tasks import tasks

        return tasks.build_dataset(_run(), list(prepared))

    @task(
        map_index_template="{{ task.op_kwargs['trial']['model'] }}, seed {{ task.op_kwargs['trial']['seed'] }}",
        execution_timeout=TRAIN_TIMEOUT,
        doc_md="Trains one baseline trial in a child process; a log line per epoch with accuracy and time left.",
        **GPU,
    )
    def train_baseline(trial: dict[str, Any]) -> dict[str, Any]:
        from imagenet_tasks.child import run_in_child

        return run_in_child(_run(), "train_baseline", {"trial": trial}, timeout_s=CHILD_TIMEOUT_S)

    @task(doc_md="Measures the baseline on validation (which decides) and on test (which only reports).")
    def evaluate_baseline(models: list[dict[str, Any]]) -> dict[str, Any]:
        from imagenet_tasks import tasks

        return tasks.evaluate_baseline(_run(), list(models))

    @task.branch(doc_md="Strictly below the goal, on validation: augment. Else: report.")
    def check_accuracy(evaluation: dict[str, Any]) -> str:
        from imagenet_tasks import tasks

        branch = tasks.check_accuracy(_run(), evaluation)
        return {"augment": "plan_augmentation", "report": "write_report"}[branch]

    @task(doc_md="Chooses the classes with the lowest recall on validation, and says why.")
    def plan_augmentation(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
        from imagenet_tasks import tasks

        return tasks.plan_augmentation(_run(), evaluation)

    @task(
        map_index_template="{{ task.op_kwargs['chosen']['name'] }}",
        doc_md="Makes changed copies (rotation, zoom crop, flips) of one class's training pictures.",
    )
    def augment_class(chosen: dict[str, Any]) -> dict[str, Any]:
        from imagenet_tasks import tasks

        return tasks.augment_class(_run(), chosen)

    @task(
        map_index_template="{{ task.op_kwargs['trial']['model'] }}, seed {{ task.op_kwargs['trial']['seed'] }}",
        execution_timeout=TRAIN_TIMEOUT,
        doc_md="Trains again from scratch, with the added pictures in the training split alone.",
        **GPU,
    )
    def train_augmented(trial: dict[str, Any], added: list[dict[str, Any]]) -> dict[str, Any]:
        from imagenet_tasks.child import run_in_child

        arguments = {"trial": trial, "added": list(added)}
        return run_in_child(_run(), "train_augmented", arguments, timeout_s=CHILD_TIMEOUT_S)

    @task(doc_md="Measures the second model and tests whether it differs from the first by more than chance.")
    def evaluate_augmented(evaluation: dict[str, Any], models: list[dict[str, Any]]) -> dict[str, Any]:
        from imagenet_tasks import tasks

        return tasks.evaluate_augmented(_run(), evaluation, list(models))

    @task(
        trigger_rule="none_failed_min_one_success",
        doc_md="Writes report.html and report.json, on both branches. The run's Report tab shows it.",
    )
    def write_report() -> dict[str, Any]:
        from imagenet_tasks import tasks

        return tasks.write_report(_run())

    downloaded = download_class.expand(group=plan_run())
    trials = build_dataset(preprocess_class.expand(group=downloaded))
    baseline = evaluate_baseline(train_baseline.expand(trial=trials))
    branch = check_accuracy(baseline)
    chosen = plan_augmentation(baseline)
    added = augment_class.expand(chosen=chosen)
    augmented = evaluate_augmented(baseline, train_augmented.partial(added=added).expand(trial=trials))
    report = write_report()
    branch >> Label("below the goal") >> chosen
    branch >> Label("goal met") >> report
    augmented >> report


imagenet_targeted_augmentation()
