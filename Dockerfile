# A container with `lenet serve`: docker build -t lenet . && docker run -p 8000:8000 lenet

# The versions in constraints.txt passed the tests with this Python.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/lenet
ENV PATH=/opt/lenet/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY constraints.txt ./
# PyTorch for processors: the package index has the one with libraries for GPUs, which is ten times as large.
RUN pip install --no-deps -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY src src
RUN pip install -c constraints.txt '.[serve]' \
    && python -c 'from lenet.kernels.library import load_library; assert load_library()[0], "no kernel"'

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin lenet
COPY --from=build /opt/lenet /opt/lenet
ENV PATH=/opt/lenet/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --start-period=20s --interval=15s --timeout=5s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/live', timeout=4)"]
ENTRYPOINT ["lenet"]
CMD ["serve", "--host", "0.0.0.0"]
