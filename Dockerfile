# One static executable in an empty image. Build: docker build -t mecha .
# Debian's C library and not Alpine's: musl's allocator halves the rate of webhooks.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY benches benches
COPY tests tests
# A target must be named, or procedural macros would be linked statically too.
# Relocations packed are 140 KiB less (Linux and glibc 2.36 or later, which is in the executable).
RUN RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" \
    cargo build --release --locked --bin mecha --target "$(rustc --print host-tuple)" \
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
