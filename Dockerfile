# The service in a container: docs/containers.md. Two stages, so that the image has neither pip's cache nor the sources.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/course-management
COPY requirements.txt ./
RUN /opt/course-management/bin/pip install --require-hashes -r requirements.txt
COPY LICENSE README.md pyproject.toml ./
COPY src src
COPY migrations migrations
# The wheel, with the build backend that requirements.txt locks.
RUN /opt/course-management/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/course-management/bin/pip install --no-deps dist/*.whl

FROM ${BASE}
RUN useradd --system --uid 10001 --user-group --home-dir /srv/school --create-home --shell /usr/sbin/nologin enrollment
COPY --from=build /opt/course-management /opt/course-management
# HOST: other containers connect. Without a key, `serve` refuses this address.
ENV PATH=/opt/course-management/bin:$PATH HOST=* PORT=8000 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/school
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["course-management", "serve"]
