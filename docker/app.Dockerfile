# The app's image: one static program on an empty base image, run as an unprivileged user.
#
#   docker build -f docker/app.Dockerfile -t maintenance-app .

FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26 AS build
WORKDIR /src
COPY . .
ENV CGO_ENABLED=0
# The processor that the image is for; empty without BuildKit: this one.
ARG TARGETARCH
RUN GOOS=linux GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/usr/bin/ ./app/cmd/app ./harness/containers/healthcheck
RUN mkdir -m 1777 /out/tmp

FROM scratch
# Root certificates for TLS to the database, the mail server and Inngest. Time zone data is in the program.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out /
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=10s --retries=3 CMD ["app", "healthcheck"]
ENTRYPOINT ["app"]
