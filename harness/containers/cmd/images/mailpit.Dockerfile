FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="Mailpit" org.opencontainers.image.version=$VERSION
COPY root /
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 1025 8025
HEALTHCHECK --interval=2s --timeout=5s --retries=15 CMD ["healthcheck", "http://127.0.0.1:8025/readyz", "127.0.0.1:1025"]
ENTRYPOINT ["mailpit"]
