# One file, two images: `cpu` (the default: every service) and `gpu` (the GPU worker, with the CUDA libraries).
#
#   docker build -t imagenet-tasks:cpu .
#   docker build -t imagenet-tasks:gpu --target gpu .
#
# DAGs and plugins are in both, for Kubernetes (docs/kubernetes.md); docker-compose.yaml mounts the folders over them.
# The user is a number, without which Kubernetes cannot tell that it is not root.

FROM python:3.11-slim AS dependencies

ENV AIRFLOW_HOME=/opt/airflow \
    IMAGENET_HOME=/opt/imagenet \
    PYTHONPATH=/opt/airflow-project \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

# A new named volume takes the owner of the folder that it covers, so these folders exist and belong to the user.
RUN useradd --uid 50000 --create-home airflow \
 && install -d -o airflow -g airflow \
      /opt/airflow /opt/airflow/auth /opt/airflow/dags /opt/airflow/logs /opt/airflow/plugins /opt/imagenet

# The full lock and nothing beside it: each file is checked against its hash, and wheels only, so nothing is built and no
# compiler is needed.
COPY requirements.txt /tmp/requirements.txt
RUN pip install --require-hashes --no-deps --only-binary=:all: -r /tmp/requirements.txt && pip check

WORKDIR /opt/airflow-project


FROM dependencies AS gpu

# The locked TensorFlow, plus the CUDA libraries that its extra names. Those are outside the lock (2 GB that the other
# services do not need): their versions lie in the ranges that TensorFlow declares, and their hashes are not checked.
RUN pip install --only-binary=:all: \
      "tensorflow[and-cuda]==$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')"
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility

COPY imagenet_tasks imagenet_tasks
COPY dags /opt/airflow/dags
COPY plugins /opt/airflow/plugins
USER 50000


# Last, because a build without --target makes the last stage.
FROM dependencies AS cpu

COPY imagenet_tasks imagenet_tasks
COPY dags /opt/airflow/dags
COPY plugins /opt/airflow/plugins
USER 50000
