package inbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// fill delivers n messages with the subjects 0/0, 0/1, ….
func fill(t testing.TB, s *catcher, n int) {
	sender := s.sender(t)
	for i := range n {
		sender.deliver(note(fmt.Sprintf("0/%d", i)), "kim@plant.test")
	}
}

// The pages of a real mail catcher, on their way through a proxy that lets happen what otherwise happens once in a while.
func TestList_ReadsPagesAgainThatDoNotFit(t *testing.T) {
	t.Parallel()
	faults := map[string]func(page int64, body map[string]any){
		"an answer broken off": func(page int64, _ map[string]any) {
			if page == 2 {
				panic(http.ErrAbortHandler)
			}
		},
		"a message twice": func(page int64, body map[string]any) {
			if items := itemsOf(body); page == 2 {
				items[1] = items[0]
			}
		},
		"an empty message": func(page int64, body map[string]any) {
			if items := itemsOf(body); page == 2 {
				items[1] = map[string]any{}
			}
		},
		"a page that does not follow": func(page int64, body map[string]any) {
			if items := itemsOf(body); page == 3 {
				setItems(body, items[1:])
			}
		},
		"an empty page in the middle": func(page int64, body map[string]any) {
			if page == 3 {
				setItems(body, []any{})
			}
		},
		"an empty first page": func(page int64, body map[string]any) {
			if page <= 2 {
				setItems(body, []any{})
			}
		},
	}
	onOwn(t, func(t *testing.T, own *catcher) {
		fill(t, own, 600)
		read := func(t *testing.T, fault func(int64, map[string]any)) (pages int64) {
			proxy, count := tampered(t, own, fault)
			list, err := newClient(t, proxy).List(limit(t))
			require.NoError(t, err)
			requireComplete(t, subjects(list), true, 1, 600)
			return count.Load()
		}
		undisturbed := read(t, func(int64, map[string]any) {})
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				require.Greater(t, read(t, fault), undisturbed, "the fault made the client read again")
			})
		}
	})
}

// itemsOf returns the messages of a page: MailHog and Mailpit name them differently.
func itemsOf(body map[string]any) []any { return body[itemsKey(body)].([]any) }

func setItems(body map[string]any, items []any) { body[itemsKey(body)] = items }

func itemsKey(body map[string]any) string {
	if _, ok := body["items"]; ok {
		return "items"
	}
	return "messages"
}

// tampered puts a proxy before a mail catcher that changes the pages of lists, counted from 1.
func tampered(t *testing.T, s *catcher, fault func(page int64, body map[string]any)) (baseURL string, pages *atomic.Int64) {
	pages = new(atomic.Int64)
	return proxied(t, s, func(p *httputil.ReverseProxy) {
		p.ModifyResponse = func(resp *http.Response) error {
			var body map[string]any
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
				return err
			}
			fault(pages.Add(1), body)
			text, err := json.Marshal(body)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			resp.Header.Set("Content-Length", fmt.Sprint(len(text)))
			return err
		}
	}).URL, pages
}

// A burst between two pages shifts more messages than the first page has: the second one begins with newer messages.
func TestList_KeepsTheOrderInABurstBetweenPages(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		fill(t, own, 100)
		var pages atomic.Int64
		proxy := proxied(t, own, func(p *httputil.ReverseProxy) {
			p.ModifyResponse = func(*http.Response) error {
				if pages.Add(1) == 1 {
					burst := own.sender(t)
					for i := range 70 {
						burst.deliver(note(fmt.Sprintf("0/%d", 100+i)), "kim@plant.test")
					}
				}
				return nil
			}
		})
		c := own.clientAt(t, proxy.URL)
		list, err := c.List(limit(t))
		require.NoError(t, err)
		requireComplete(t, subjects(list), false, 1, 170)
		list, err = c.List(limit(t))
		require.NoError(t, err)
		requireComplete(t, subjects(list), true, 1, 170)
	})
}

// A deletion between two pages shifts the rest forward: the second page would skip a message.
func TestList_SurvivesADeletionBetweenPages(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		fill(t, own, 600)
		direct := own.client(t)
		all, err := direct.List(limit(t))
		require.NoError(t, err)
		var pages atomic.Int64
		proxy := proxied(t, own, func(p *httputil.ReverseProxy) {
			p.ModifyResponse = func(*http.Response) error {
				if pages.Add(1) == 2 {
					for _, m := range all[400:] {
						if err := direct.Delete(limit(t), m.ID); err != nil {
							return err
						}
					}
				}
				return nil
			}
		})
		list, err := own.clientAt(t, proxy.URL).List(limit(t))
		require.NoError(t, err)
		requireComplete(t, subjects(list), false, 1, 400)
		require.Len(t, list, 400)
	})
}

func TestList_GivesUpOnAListThatAlwaysChanges(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		proxy := proxied(t, box, func(p *httputil.ReverseProxy) {
			p.ModifyResponse = func(*http.Response) error { panic(http.ErrAbortHandler) }
		})
		err := box.clientAt(t, proxy.URL).ReadToEnd(limit(t))
		title := box.which.Title()
		require.ErrorContains(t, err, title+"'s list changed under every one of 20 attempts to read it: "+title+": it broke off its answer")
	})
}

// What the client's walk relies on, and what it works around, is so in the MailHog that is pinned.
func TestMailHog_PagesAreAsExpected(t *testing.T) {
	t.Parallel()
	own := ownCatcher(t, harness.MailHog)
	fill(t, own, 300)
	get := func(query string) (page struct {
		Total, Count, Start int
		Items               []struct {
			Content struct{ Headers map[string][]string }
		}
	}) {
		resp, err := http.Get(own.URL + "/api/v2/messages?" + query)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&page))
		return page
	}
	subject := func(query string, i int) string { return get(query).Items[i].Content.Headers["Subject"][0] }

	require.Len(t, get("").Items, 50, "50 by default")
	require.Len(t, get("limit=1000").Items, 250, "250 at most")
	require.Equal(t, 300, get("limit=1").Total)
	require.Equal(t, "0/299", subject("limit=1", 0), "newest first")
	require.Len(t, get("start=290&limit=250").Items, 10)
	require.Equal(t, "0/0", subject("start=290&limit=250", 9))
	require.Equal(t, "0/0", subject("start=300&limit=250", 0), "behind the end comes the oldest again")
	require.Empty(t, get("start=301").Items)
	list, err := own.client(t).List(limit(t))
	require.NoError(t, err)
	requireComplete(t, subjects(list), true, 1, 300)
}
