// The mongo image runs this once, when it prepares an empty database: it makes the user of the app.
db.getSiblingDB("maintenance").createUser({
  user: "app",
  pwd: require("fs").readFileSync("/run/secrets/mongo_app_password", "utf8").trim(),
  roles: ["readWrite"],
});
