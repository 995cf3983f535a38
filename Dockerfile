# The operator's image for amd64 and arm64, where there is a container engine: docker build .
# The same files as `make image` puts into its archive. Versions are those of Cargo.lock, CONTRIBUTING.md and this line.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS build
ARG BUILDARCH
ARG TARGETARCH
# The time of the source, in seconds since 1970: the only thing of the image that is not in the source.
ARG SOURCE_DATE_EPOCH=0
SHELL ["/bin/bash", "-eu", "-o", "pipefail", "-c"]
# A compiler of the distribution: only its release can be pinned, and the first line does.
# hadolint ignore=DL3008
RUN case "$TARGETARCH" in \
      amd64) processor=x86_64 ;; \
      arm64) processor=aarch64 ;; \
      *) echo "there is no image for $TARGETARCH"; exit 1 ;; \
    esac; \
    echo "$processor-unknown-linux-musl" >/target; \
    rustup target add "$(cat /target)"; \
    if [ "$TARGETARCH" != "$BUILDARCH" ]; then \
      apt-get update; \
      apt-get install -y --no-install-recommends "gcc-${processor/_/-}-linux-gnu" "libc6-dev-$TARGETARCH-cross"; \
      rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /source
COPY . .
RUN image/build.sh "$(cat /target)" /files

FROM scratch
# What `make image` asks Cargo and git, which are not in here.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="external-cloud-secrets" \
      org.opencontainers.image.description="A Kubernetes operator that keeps Secrets in step with a cloud's secret stores" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /files /
# Freed memory goes back at once: docs/decisions/0010-image.md
ENV MIMALLOC_PURGE_DELAY=0
USER 65532:65532
ENTRYPOINT ["/external-cloud-secrets"]
