# One static executable in an empty image. Build: docker build -t mecha .
# Debian's C library and not Alpine's: musl's allocator halves the rate of webhooks.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY tests tests
# A target must be named, or procedural macros would be linked statically too.
RUN RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --bin mecha --target "$(rustc --print host-tuple)" \
    && mv target/*/release/mecha /mecha \
    && mkdir -m 0700 /data

FROM scratch
COPY --from=build /mecha /mecha
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV MECHA_ADDR=0.0.0.0:21212 MECHA_DATA=/data
VOLUME /data
EXPOSE 21212
HEALTHCHECK --interval=30s --timeout=6s CMD ["/mecha", "health"]
# Set MECHA_API_KEY, or nothing but loopback may be bound.
ENTRYPOINT ["/mecha"]
CMD ["serve"]
