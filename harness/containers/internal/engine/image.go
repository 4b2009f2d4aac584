package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

const (
	// answerTime bounds the wait for a registry's first answer. The engine itself would wait much longer.
	answerTime = 8 * time.Second
	// stallTime is how long a pull may make no progress.
	stallTime = time.Minute
)

// Image is an image that the engine has.
type Image struct {
	Name string
	// Version is the version in the image's labels, else its tag.
	Version string
	// Command is what the image runs by default, behind its entrypoint.
	Command []string
}

// HasImage reports whether the engine has an image. It does not pull it.
func HasImage(ctx context.Context, c *client.Client, name string) (bool, error) {
	_, err := c.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the image %s: %w", name, Explain(err))
	}
	return true, nil
}

// EnsureImage returns an image, and pulls it if the engine does not have it. progress, which may be nil, receives what is being
// done, many times a second. A registry that cannot be reached is noticed within seconds. The error is an [*Error].
func EnsureImage(ctx context.Context, c *client.Client, name string, progress func(doing string)) (Image, error) {
	return ensureImage(ctx, c, name, progress, answerTime, stallTime)
}

func ensureImage(ctx context.Context, c *client.Client, name string, progress func(string), answer, stall time.Duration) (Image, error) {
	if progress == nil {
		progress = func(string) {}
	}
	found, err := c.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		progress("pulling " + name)
		if err := pull(ctx, c, name, progress, answer, stall); err != nil {
			return Image{}, err
		}
		found, err = c.ImageInspect(ctx, name)
	}
	if err != nil {
		return Image{}, fmt.Errorf("look at the image %s: %w", name, Explain(err))
	}
	image := Image{Name: name, Version: tagOf(name)}
	if found.Config != nil {
		image.Command = found.Config.Cmd
		image.Version = cmp.Or(found.Config.Labels["org.opencontainers.image.version"], image.Version)
	}
	return image, nil
}

// tagOf returns the tag of an image's name. A colon before a slash belongs to a registry's port.
func tagOf(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[i+1:]
	}
	return "latest"
}

var (
	errNoAnswer = errors.New("it does not answer")
	errStalled  = errors.New("it stopped sending")
)

func pull(ctx context.Context, c *client.Client, name string, progress func(string), answer, stall time.Duration) error {
	pullCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(answer, func() { cancel(errNoAnswer) })
	defer watch.Stop()

	res, err := c.ImagePull(pullCtx, name, client.ImagePullOptions{RegistryAuth: credentials(ctx, name)})
	if err == nil {
		defer res.Close()
		p := pullProgress{name: name, layers: make(map[string][2]int64)}
		err = ReadMessages(pullCtx, res, func(m jsonstream.Message) {
			watch.Stop()
			watch = time.AfterFunc(stall, func() { cancel(errStalled) })
			progress(p.add(m))
		})
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("pull the image %s: %w", name, context.Cause(ctx))
	}
	if cause := context.Cause(pullCtx); cause != nil {
		err = cause
	}
	return notPulled(name, err)
}

// credentials returns the stored login for the image's registry, or "" without one, as for a public image.
func credentials(ctx context.Context, name string) string {
	_, auth, err := testcontainers.DockerImageAuth(ctx, name)
	if err != nil {
		return ""
	}
	encoded, err := authconfig.Encode(auth)
	if err != nil {
		return ""
	}
	return encoded
}

// notPulled explains why a pull failed. Engines and registries have no error codes for that, so it examines the message.
func notPulled(name string, err error) error {
	text := err.Error()
	contains := func(signs ...string) bool {
		return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(text, sign) })
	}
	others := []string{
		"build the images from source (in this repository: make images)",
		"name others with HARNESS_IMAGE_MONGO, HARNESS_IMAGE_MAILHOG and HARNESS_IMAGE_INNGEST", Alternative,
	}
	switch {
	case full(text):
		return fmt.Errorf("pull the image %s: %w", name, diskFull(err))
	case contains("toomanyrequests", "rate limit"):
		return &Error{"the registry of the image " + name + " takes no more pulls from here for now", "",
			append([]string{"log in to it (docker login)", "wait"}, others...), err}
	case contains("not found", "manifest unknown", "access denied", "does not exist", "unauthorized", "no matching manifest"):
		return &Error{fmt.Sprintf("there is no image %s for this machine, or not without a login", name), text,
			append([]string{"check its name", "log in to its registry (docker login)"}, others...), err}
	case client.IsErrConnectionFailed(err):
		return Explain(err)
	default:
		return &Error{fmt.Sprintf("the image %s is not here, and its registry cannot be reached", name), text,
			append([]string{"check the network of the Docker engine"}, others...), err}
	}
}

// pullProgress adds up the progress of an image's layers.
type pullProgress struct {
	name   string
	layers map[string][2]int64 // bytes received and bytes in all, by layer
}

func (p *pullProgress) add(m jsonstream.Message) string {
	if m.Progress != nil && m.Status == "Downloading" && m.Progress.Total > 0 {
		p.layers[m.ID] = [2]int64{m.Progress.Current, m.Progress.Total}
	}
	if l, ok := p.layers[m.ID]; ok && (m.Status == "Download complete" || m.Status == "Pull complete") {
		p.layers[m.ID] = [2]int64{l[1], l[1]}
	}
	var had, all int64
	for _, l := range p.layers {
		had, all = had+l[0], all+l[1]
	}
	if all == 0 {
		return "pulling " + p.name
	}
	const mb = 1 << 20
	return fmt.Sprintf("pulling %s, %d of %d MB", p.name, had/mb, (all+mb-1)/mb)
}

// ReadMessages reads the stream in which the engine reports on a pull or a build. It returns the error that the stream
// reports, or that of reading it. each may be nil.
func ReadMessages(ctx context.Context, r io.Reader, each func(jsonstream.Message)) error {
	decoder := json.NewDecoder(r)
	for {
		var m jsonstream.Message
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("read what the Docker engine reports: %w", err)
		}
		if m.Error != nil {
			return m.Error
		}
		if each != nil {
			each(m)
		}
	}
}
