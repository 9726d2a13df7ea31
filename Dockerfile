# One static executable in an empty image. Build: docker build -t mecha .
# musl's C library, whose static executable has 0.7 MiB less than glibc's.
FROM rust:1.95-alpine AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY benches benches
COPY tests tests
RUN cargo build --release --locked --bin mecha --target "$(uname -m)-unknown-linux-musl" \
    && install -d -m 0755 /image /image/system /image/user \
    && install -m 0755 target/*/release/mecha /image/system/mecha \
    && install -d -m 1777 /image/system/tmp \
    && install -d -m 0700 /image/user/data

FROM scratch
LABEL org.opencontainers.image.title="mecha" \
      org.opencontainers.image.description="A durable task server for LLM agents and other workers, in one executable" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="ISC" \
      org.opencontainers.image.base.name="scratch"
# /tmp is for 'mecha check --data'; a new volume takes over whose /data is, and its mode.
COPY --from=build /image/system /
COPY --from=build --chown=65532:65532 /image/user /
USER 65532:65532
ENV MECHA_ADDR=0.0.0.0:21212 MECHA_DATA=/data
VOLUME /data
EXPOSE 21212
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s CMD ["/mecha", "health"]
# Set MECHA_API_KEY, best to file:/run/secrets/NAME, or nothing but loopback may be bound.
ENTRYPOINT ["/mecha"]
CMD ["serve"]
