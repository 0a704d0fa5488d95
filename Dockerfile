# The server of RetouchGPT. The weights are in the package, so the container needs no network in use.
FROM python:3.12-slim-bookworm AS build
# an index with CPU builds of torch keeps the image at about a third of the size
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
RUN python -m venv /opt/retouchgpt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/retouchgpt/bin/pip install --no-cache-dir ".[server,jpeg,layers]"

FROM python:3.12-slim-bookworm
# what OpenCV's and mediapipe's wheels expect of the system
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1=1.6.* libglib2.0-0=2.74.* \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/retouchgpt /opt/retouchgpt
RUN useradd --uid 10001 --create-home retouch \
    && install --directory --owner=retouch --group=retouch /var/lib/retouchgpt
USER 10001
ENV PATH=/opt/retouchgpt/bin:$PATH HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
VOLUME /var/lib/retouchgpt
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# the token comes as a file, since arguments and environments are easily read by others
ENTRYPOINT ["retouchgpt", "serve", "--host", "0.0.0.0", "--work", "/var/lib/retouchgpt", "--token-file", "/run/secrets/retouchgpt_token"]
