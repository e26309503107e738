# docker build -t prunecheck .
# docker run --rm -v "$PWD:/work" -v prunecheck-store:/store prunecheck run study.toml
FROM python:3.13-slim
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
# torch for CPUs; for a GPU build with --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch --index-url "$TORCH_INDEX" && pip install --no-cache-dir "/source[paper]"
RUN useradd --create-home user && mkdir /store /work && chown user /store /work
USER user
ENV PRUNECHECK_HOME=/store
WORKDIR /work
ENTRYPOINT ["prunecheck"]
CMD ["--help"]
