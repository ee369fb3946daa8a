# syntax=docker/dockerfile:1
# The image of every process of the product: docker-compose.yml says which command each one runs.
# What is installed is what requirements.lock pins by hash, and the wheel of this tree.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
# The one build tool, as pinned as the rest; then building fetches nothing.
RUN python -m venv /opt/care \
    && sed -n '/^setuptools==/,/[^\\]$/p' requirements-dev.lock > build.lock \
    && python -m pip install --no-cache-dir --require-hashes -r build.lock \
    && /opt/care/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml ./
COPY schemas schemas
COPY events events
COPY handlers handlers
COPY orchestrator orchestrator
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/care/bin/python -m pip install --no-cache-dir --no-deps wheels/*.whl \
    && /opt/care/bin/python -m pip uninstall --yes pip

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="care-orchestrator"
# A number, so that an orchestrator can see that it is not root.  /data: a new volume takes its owner
# and mode from there, and in it the worklist keeps what is its own.
RUN groupadd --gid 10001 care && useradd --uid 10001 --gid care --no-create-home --shell /usr/sbin/nologin care \
    && install --directory --owner=care --group=care --mode=0700 /data
COPY --from=build /opt/care /opt/care
ENV PATH=/opt/care/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
EXPOSE 8000 8010 8012
# Every process that goes on answers there; docker-compose.yml gives each its own rhythm.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "orchestrator.ops.probe"]
ENTRYPOINT ["care-orchestrator"]
CMD ["--help"]
